"""Strict YAML: a file held against a pydantic model, every problem named at once with its line.

Duplicate keys and aliases are refused (an alias bomb is a few lines long); unknown keys name the nearest known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from suture.errors import BadInputError, Problem, UsageError, refuse

Place = tuple[str | int, ...]
Lines = dict[Place, int]
M = TypeVar("M", bound=BaseModel)
EXPANDED = 100_000


class StrictModel(BaseModel):
    """Base of everything that a user writes in YAML: frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class MisfitError(ValueError):
    """What a validator of a whole model found at places below it: (place, what must hold), each told with its line."""

    def __init__(self, found: Iterable[tuple[Place, str]]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(message for _, message in self.found))


def load_yaml(path: Path, model: type[M]) -> M:
    """Read the file at `path` into `model`. Raises BadInputError (no file), UsageError (all else, all at once)."""
    return validated(load_document(path), model)


def load_document(path: Path) -> Document:
    """Read the one document of the file at `path`. Raises BadInputError (no file), UsageError with all problems."""
    if not path.is_file():
        raise BadInputError(Problem("The file must exist.", "no such file", str(path), "Check the path."))
    return document_of(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read a text file in UTF-8. Raises BadInputError where it cannot be read as one."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        must = "The file must be readable text in UTF-8."
        raise BadInputError(Problem(must, type(error).__name__, str(path))) from None


def parse_yaml(text: str, model: type[M], origin: str) -> M:
    """Read YAML `text` into `model`; `origin` names the text in messages. Raises UsageError with all problems."""
    return validated(document_of(text, origin), model)


def document_of(text: str, origin: str) -> Document:
    """Return the one document of YAML `text`. Raises UsageError with all problems."""
    documents = documents_of(text, origin)
    if len(documents) != 1:
        raise UsageError(Problem("The file must hold one document.", str(len(documents)), origin))
    return documents[0]


@dataclass(frozen=True)
class Document:
    """One YAML document: its plain values, the line of every place in it, the name of its text in messages.

    notes: what was let pass, as sentences, where the reader was asked to be lenient.
    """

    data: dict[str, Any]
    lines: Lines
    origin: str
    notes: tuple[str, ...] = ()


def documents_of(text: str, origin: str, *, lenient: bool = False) -> list[Document]:
    """Read every document of YAML `text`. Raises UsageError with all problems.

    lenient: aliases are followed (within EXPANDED places), and of a duplicate key the last counts, with a note.
    """
    try:
        nodes = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if not _empty(node)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{origin}, line {mark.line + 1}" if mark else origin
        got = str(getattr(error, "problem", None) or "unreadable YAML")
        raise UsageError(Problem("The file must be valid YAML.", got, where)) from None
    except RecursionError:
        raise UsageError(Problem("The file must be nested a few levels deep.", "far more", origin)) from None
    if not nodes:
        raise UsageError(Problem("The file must hold keys and values.", "nothing", origin))
    found: list[Document] = []
    problems: list[Problem] = []
    for node in nodes:
        lines: Lines = {}
        said = list(_walk(node, (), lines, origin, set()))
        if lenient:
            if _expanded(node, {}) > EXPANDED:
                raise UsageError(Problem(f"The file must hold at most {EXPANDED:,} places.", "more", origin))
            notes = tuple(f"{p.where}: {p.got}; the last one counts" for p in said if "twice" in p.got)
        else:
            problems += said
            notes = ()
        found.append(Document({}, lines, origin, notes))
    refuse(UsageError, problems)
    return [replace(document, data=_plain_values(node, origin)) for document, node in zip(found, nodes, strict=True)]


def validated(document: Document, model: type[M], context: Any = None) -> M:
    """Hold a document against `model`, whose validators may ask `context`.

    Raises UsageError with all problems, each with its line.
    """
    try:
        return model.model_validate(document.data, context=context)
    except ValidationError as error:
        raise UsageError(*_explain(error, model, document.lines, document.origin)) from None


def _plain_values(node: Any, origin: str) -> dict[str, Any]:
    loader = yaml.SafeLoader("")
    try:
        data = loader.construct_document(node)
    except yaml.YAMLError:
        raise UsageError(Problem("The file must hold plain values only.", "a YAML tag", origin)) from None
    except (ValueError, OverflowError):  # thousands of digits, a thirteenth month
        must = "Numbers and dates must be ones that exist."
        raise UsageError(Problem(must, "one that cannot be read", origin, "Write text in quotes.")) from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise UsageError(Problem("The file must hold keys and values.", type(data).__name__, origin))
    return data


def _empty(node: Any) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~"))


def _expanded(node: Any, seen: dict[int, int]) -> int:
    """Count the places below `node` with every alias written out."""
    if id(node) not in seen:
        seen[id(node)] = EXPANDED  # a node inside itself
        below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        seen[id(node)] = 1 + (sum(_expanded(part, seen) for part in below) if isinstance(below, list) else 0)
    return seen[id(node)]


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
        where = _where(place, lines, origin)
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, MisfitError):
            for below, message in cause.found:
                got = repr(_at(item["input"], below))[:80]
                yield Problem(f"{message}.".replace("..", "."), got, _where((*place, *below), lines, origin))
            continue
        name = ".".join(str(part) for part in place) or "the file"
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, place[:-1])
            yield Problem(f"'{name}' is not a known key.", f"'{place[-1]}'", where, nearest(str(place[-1]), known))
        elif item["type"] == "missing":
            yield Problem(f"'{name}' is required.", "nothing", where)
        else:
            message = item["msg"].removeprefix("Value error, ")
            yield Problem(f"'{name}': {message}.".replace("..", "."), repr(item["input"])[:80], where)


def _at(value: Any, place: Place) -> Any:
    """Return what stands at `place` below `value`, as far down as there is something."""
    for part in place:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return value
    return value


def _where(place: Place, lines: Lines, origin: str) -> str:
    written = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in lines), ())
    return f"{origin}, line {lines.get(written, 1)}"


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
