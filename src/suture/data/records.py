"""Data records: the one shape in which texts enter adaptation and evaluation, kept as JSON lines.

Three kinds of record meet the tasks: `Record` (an input and its reference), `Choice` (a question with options) and
`ContrastPair` (two constraints, two responses). A file holds one kind. Files are private (mode 0600).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from blake3 import blake3

from suture.data.tables import read_text
from suture.errors import BadInputError, Problem, refuse


@dataclass(frozen=True, slots=True)
class Record:
    """One text and its reference.

    input is what the model reads, target what a clinician wrote (empty where the text stands alone). encounter groups
    records of one visit: statistics cluster by it, splits never divide it. credential is empty for open data.
    facts, where a structured record exists, is its JSON object (see `suture.data.clinic`).
    """

    id: str
    source: str
    encounter: str
    section: str
    input: str
    target: str
    split: str
    licence: str
    credential: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """A multiple-choice question: answer is the index of the right one of options.

    context is what the question is about (an abstract), section its subject; both may be empty.
    """

    id: str
    encounter: str
    question: str
    options: tuple[str, ...]
    answer: int
    context: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class ContrastPair:
    """Two prompts that differ in one constraint each, and a response written to satisfy each.

    topic groups pairs that share responses; kind_a and kind_b name the constraints.
    """

    id: str
    topic: str
    kind_a: str
    kind_b: str
    prompt_a: str
    prompt_b: str
    response_a: str
    response_b: str


Item = Record | Choice | ContrastPair
T = TypeVar("T", Record, Choice, ContrastPair)


def to_json_line(item: Item) -> str:
    """Return the canonical JSON text of one item: sorted keys, no spaces to spare, a choice's empty fields left out."""
    values = asdict(item)
    if isinstance(item, Choice):
        values = {key: value for key, value in values.items() if value != "" or key not in ("context", "section")}
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def faults(item: Item) -> list[tuple[str, str]]:
    """Return what is wrong with one item, as (what must hold, what was got); no text of the item."""
    found = [
        (f"{f.name} must be a text.", type(getattr(item, f.name)).__name__)
        for f in fields(item)
        if f.type == "str" and not isinstance(getattr(item, f.name), str)
    ]
    if isinstance(item, Choice):
        if len(item.options) < 2 or not all(isinstance(option, str) and option for option in item.options):
            found.append(("A question must have two options or more, none empty.", f"{len(item.options)}"))
        if type(item.answer) is not int or not 0 <= item.answer < max(len(item.options), 1):
            got = "none of them" if item.answer == -1 else f"{item.answer!r:.20}"
            found.append(("The answer must be the index of one of the options.", got))
    return found


def digest_items(items: Iterable[Item]) -> str:
    """Return the BLAKE3 hex digest of the canonical lines of `items`, in order."""
    hasher = blake3()
    for item in items:
        hasher.update(to_json_line(item).encode() + b"\n")
    return hasher.hexdigest()


def write_items(path: Path, items: Sequence[Item]) -> str:
    """Write `items` as JSON lines, whole or not at all, mode 0600; return their digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(path.name + ".partial")
    staging.unlink(missing_ok=True)
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.writelines(to_json_line(item) + "\n" for item in items)
        stream.flush()
        os.fsync(stream.fileno())
    staging.replace(path)
    return digest_items(items)


def read_items(path: Path, kind: type[T]) -> list[T]:
    """Read JSON lines of one kind.

    Raises BadInputError naming every line that is not valid JSON, lacks a field, has an unknown one, repeats an id, or
    holds a question whose answer is not one of its options.
    """
    if not path.is_file():
        raise BadInputError(Problem("A data file must exist.", "no such file", str(path), "Check the path."))
    known = {f.name for f in fields(kind)}
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    items: list[T] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    lines = read_text(path).removesuffix("\n").split("\n")  # not splitlines: U+2028 may stand inside a string
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(
                Problem("Each line must be one JSON object.", f"invalid JSON at column {error.colno}", where)
            )
            continue
        if not isinstance(row, dict) or not needed <= row.keys() <= known:
            got = sorted(row) if isinstance(row, dict) else type(row).__name__
            problems.append(Problem(f"Each line must have the fields {sorted(needed)}.", f"{got}", where))
            continue
        if row["id"] in seen:
            problems.append(Problem("Ids must be unique.", "a repeated id", where, "Rename or remove one of them."))
        seen.add(row["id"])
        if kind is Choice:
            row["options"] = tuple(row["options"]) if isinstance(row["options"], list) else ()
        item = kind(**row)
        problems += [Problem(must, got, where) for must, got in faults(item)]
        items.append(item)
    refuse(BadInputError, problems)
    return items
