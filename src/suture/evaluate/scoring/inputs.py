"""Predictions, references and prompts as JSON lines: everything wrong with them is named, by line, before any score.

No message carries text of an item or an id (an id may be a patient's): lines are named by their numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, Problem, refuse

_MOST_LINES = 20  # named one by one in a list of line numbers


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its number in the file, its id as text, its fields."""

    line: int
    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one file, and what is wrong with others."""

    path: Path
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """References in their order, each with its prediction or None; lines of references and predictions left alone."""

    pairs: tuple[tuple[Row, Row | None], ...]
    missing: tuple[int, ...]
    extra: tuple[int, ...]


def read_table(path: Path, key: str, texts: Sequence[str]) -> Table:
    """Read a file whose lines have an id in `key` (text or integer) and text in the fields `texts`."""
    rows: list[Row] = []
    problems: list[Problem] = []
    first: dict[str, int] = {}
    for number, line in _lines(path):
        found = _parse(line, key, texts)
        where = f"{path}, line {number}"
        if isinstance(found, str):
            must = f"Each line must be one JSON object with {key} (text or integer) and {', '.join(texts)} (text)."
            problems.append(Problem(must, found, where))
            continue
        identifier = str(found[key])
        if identifier in first:
            problems.append(Problem(f"Each {key} must stand once.", f"that of line {first[identifier]} again", where))
            continue
        first[identifier] = number
        rows.append(Row(number, identifier, found))
    if not rows and not problems:
        problems.append(Problem("The file must hold items.", "none", str(path)))
    return Table(path, tuple(rows), tuple(problems))


def match(references: Table, predictions: Table) -> Matched:
    """Pair by id, after refusing with all problems of both files at once.

    Raises BadInputError also where no id is in both files. A reference without prediction and a prediction without
    reference are returned by their lines.
    """
    refuse(BadInputError, [*references.problems, *predictions.problems])
    given = {row.id: row for row in predictions.rows}
    wanted = {row.id for row in references.rows}
    pairs = tuple((row, given.get(row.id)) for row in references.rows)
    missing = tuple(row.line for row, found in pairs if found is None)
    extra = tuple(row.line for row in predictions.rows if row.id not in wanted)
    if len(missing) == len(pairs):
        raise BadInputError(
            Problem("Predictions and references must share ids.", "none in common", str(predictions.path))
        )
    return Matched(pairs, missing, extra)


def name_lines(lines: Sequence[int]) -> str:
    """Return `lines 3, 4, 9`, the first ones where they are many."""
    shown = ", ".join(map(str, lines[:_MOST_LINES]))
    more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """Return the lines that are not blank, cut at line feeds only: a text may hold other separators."""
    if not path.is_file():
        raise BadInputError(Problem("The file must exist.", "no such file", str(path), "Check the path."))
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    return [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line.strip()]


def _parse(line: bytes, key: str, texts: Sequence[str]) -> dict[str, Any] | str:
    """Return the line's object, or what it is instead."""
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"bytes that are not UTF-8 at column {error.start + 1}"
    except json.JSONDecodeError as error:
        return f"invalid JSON at column {error.colno}"
    except RecursionError:
        return "JSON nested too deeply"
    if not isinstance(found, dict):
        return f"a JSON {type(found).__name__}"
    if not isinstance(found.get(key), str | int) or isinstance(found.get(key), bool):
        return f"no usable {key}"
    wrong = [name for name in texts if not isinstance(found.get(name), str)]
    return f"no text in {', '.join(wrong)}" if wrong else found
