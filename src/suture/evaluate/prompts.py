"""Prompts with verifiable instructions, checked before anything is answered or judged: form, keys, arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from suture.data.tables import read_rows
from suture.errors import BadInputError, Problem
from suture.evaluate import ifbench, ifeval, ifeval_rules
from suture.evaluate.verdicts import Instructions, Verifiers, arguments

MUST = "A prompt must have instruction_id_list (ids of known instructions) and kwargs (an object for each)."
FIELDS = ("key", "prompt", "instruction_id_list", "kwargs")


def check_prompts(path: Path, benchmark: str) -> list[Problem]:
    """Return what is wrong with a prompts' file, by line; benchmark is "ifeval" or "ifbench"."""
    try:
        if benchmark == "ifeval":
            ifeval.count(path, None)  # which names every line of another form
        rows = read_rows(path, FIELDS)
    except BadInputError as error:
        return list(error.problems)
    with ExitStack() as stack:
        if benchmark == "ifbench":
            stack.enter_context(ifbench.offline())
        verifiers = (ifbench if benchmark == "ifbench" else ifeval_rules).verifiers()
        return list(_problems(path, rows, verifiers))


def parse(key: str, fields: Mapping[str, Any]) -> Instructions | None:
    """Return one line's instructions, None where it has another form."""
    ids, kwargs = fields.get("instruction_id_list"), fields.get("kwargs")
    if not isinstance(ids, list) or not isinstance(kwargs, list) or len(ids) != len(kwargs) or not ids:
        return None
    if not all(isinstance(one, str) for one in ids) or not all(isinstance(one, dict) for one in kwargs):
        return None
    return Instructions(key, str(fields["prompt"]), tuple(ids), tuple(kwargs))


def fault(item: Instructions | None, verifiers: Verifiers) -> str:
    """Return what keeps a line's instructions from being verified, "" where nothing does."""
    if item is None:
        return "another form"
    for identifier, kwargs in zip(item.ids, item.kwargs, strict=True):
        if identifier not in verifiers.classes:
            return f"the unknown instruction '{identifier[:60]}'"
        try:
            verifiers.make(identifier, arguments(kwargs), item.prompt)
        except (TypeError, ValueError, AttributeError, KeyError, IndexError):
            return f"kwargs that do not fit '{identifier}'"
    return ""


def _problems(path: Path, rows: list[Any], verifiers: Verifiers) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, start=1):
        where, key = f"{path}, line {line}", str(row["key"])
        if key in seen:
            yield Problem("Each key must stand once.", f"that of line {seen[key]} again", where)
        seen.setdefault(key, line)
        if not str(row["prompt"] or "").strip():
            yield Problem("A prompt must have text.", "an empty one", where)
        if got := fault(parse(key, row), verifiers):
            yield Problem(MUST, got, where)
