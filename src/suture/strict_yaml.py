"""Strict YAML: a file held against a pydantic model, every problem named at once with its line.

Duplicate keys and aliases are refused (an alias bomb is a few lines long); unknown keys name the nearest known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from suture.errors import BadInputError, Problem, UsageError

Place = tuple[str | int, ...]
Lines = dict[Place, int]
M = TypeVar("M", bound=BaseModel)


class StrictModel(BaseModel):
    """Base of everything that a user writes in YAML: frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


def load_yaml(path: Path, model: type[M]) -> M:
    """Read the file at `path` into `model`. Raises BadInputError (no file), UsageError (all else, all at once)."""
    if not path.is_file():
        raise BadInputError(Problem("The file must exist.", "no such file", str(path), "Check the path."))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BadInputError(
            Problem("The file must be readable text in UTF-8.", type(error).__name__, str(path))
        ) from None
    return parse_yaml(text, model, str(path))


def parse_yaml(text: str, model: type[M], origin: str) -> M:
    """Read YAML `text` into `model`; `origin` names the text in messages. Raises UsageError with all problems."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{origin}, line {mark.line + 1}" if mark else origin
        got = str(getattr(error, "problem", None) or "unreadable YAML")
        raise UsageError(Problem("The file must be valid YAML.", got, where)) from None
    except RecursionError:
        raise UsageError(Problem("The file must be nested a few levels deep.", "far more", origin)) from None
    lines: Lines = {}
    problems = list(_walk(node, (), lines, origin, set()))
    if problems:
        raise UsageError(*problems)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(Problem("The file must hold plain values only.", "a YAML tag", origin)) from None
    except (ValueError, OverflowError):  # thousands of digits, a thirteenth month
        must = "Numbers and dates must be ones that exist."
        raise UsageError(Problem(must, "one that cannot be read", origin, "Write text in quotes.")) from None
    if not isinstance(data, dict):
        raise UsageError(Problem("The file must hold keys and values.", type(data).__name__, origin))
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError(*_explain(error, model, lines, origin)) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known word nearest to `name`, or lists the known ones."""
    words = sorted(known)
    close = difflib.get_close_matches(name, words, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(words)}."


def _walk(node: Any, place: Place, lines: Lines, origin: str, seen: set[int]) -> Iterable[Problem]:
    """Record the line of every place below `node`; yield a problem for each alias and each duplicate key."""
    if node is None:
        return
    line = node.start_mark.line + 1
    lines[place] = line
    if id(node) in seen:
        yield Problem("Aliases are not allowed.", "an alias", f"{origin}, line {line}", "Write the value out.")
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                where = f"{origin}, line {key.start_mark.line + 1}"
                yield Problem("A key must be a word.", "a list or a mapping", where)
                continue
            if key.value in keys:
                where = f"{origin}, line {key.start_mark.line + 1}"
                yield Problem("Keys must be unique.", f"'{key.value}' twice", where, "Remove one of them.")
            keys.add(key.value)
            yield from _walk(value, (*place, key.value), lines, origin, seen)
            lines[(*place, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*place, index), lines, origin, seen)


def _explain(error: ValidationError, model: type[BaseModel], lines: Lines, origin: str) -> Iterable[Problem]:
    for item in error.errors():
        place: Place = tuple(item["loc"])
        written = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in lines), ())
        where = f"{origin}, line {lines.get(written, 1)}"
        name = ".".join(str(part) for part in place) or "the file"
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, place[:-1])
            yield Problem(f"'{name}' is not a known key.", f"'{place[-1]}'", where, nearest(str(place[-1]), known))
        elif item["type"] == "missing":
            yield Problem(f"'{name}' is required.", "nothing", where)
        else:
            message = item["msg"].removeprefix("Value error, ")
            yield Problem(f"'{name}': {message}.".replace("..", "."), repr(item["input"])[:80], where)


def _keys_at(model: type[BaseModel], place: Place) -> set[str]:
    """Return the keys known at `place` below `model`, following nested models through lists and unions."""
    models = [model]
    for part in place:
        if isinstance(part, str):
            fields = [f for m in models for key, f in m.model_fields.items() if part in (key, f.alias)]
            models = [inner for f in fields for inner in _models_in(f.annotation)] or models
    return {field.alias or key for m in models for key, field in m.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for argument in get_args(annotation) for inner in _models_in(argument)]
