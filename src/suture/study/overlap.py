"""The step that looks for test items in what a study's models learn: by encounter, and by eight words in a row.

It runs with the plan, before any training. Texts made from templates (the synthetic clinic, instructions) share words
by design; their makers keep their parts apart, and they are not compared here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from suture.data.records import Record, read_items
from suture.errors import BadInputError, Problem, refuse, some
from suture.study.graph import Context
from suture.study.texts import digest_files, read_test

FILE = "overlap.json"
LEARNT, ASKED = "learnt: ", "asked: "  # before the name of a lesson's step, of a task


def look_for_overlap(context: Context) -> str:
    """Write overlap.json: each pair of a lesson and a task that share items, with the ids of what is learnt (`shared`).

    allowed: the reason why that may be, "" for none; share: as for `suture.adapt.lessons.leaking`. Raises
    BadInputError naming counts and ids of what is learnt, never text.
    """
    found = list(_overlaps(context))
    if not context.parameters["allowed"]:
        refuse(BadInputError, [_problem(one) for one in found])
    path = context.folder / FILE
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return digest_files([path])


def overlap_notes(folder: Path, reason: str) -> tuple[str, ...]:
    """Return what a report says of an overlap that was allowed."""
    found: list[dict[str, Any]] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return tuple(f"{_count(one)} repeat test items of {one['task']}. {reason}" for one in found)


def _overlaps(context: Context) -> Iterator[dict[str, Any]]:
    from suture.adapt.lessons import leaking

    lessons = dict(_lessons(context.inputs))
    for role, folder in context.inputs.items():
        if not role.startswith(ASKED):
            continue
        task = role.removeprefix(ASKED)
        tested = read_test(task, folder, None)
        for lesson, records in lessons.items():
            shared = leaking(records, tested, share=context.parameters["share"])
            if shared:
                yield {"lesson": lesson, "task": task, "items": len(records), "shared": sorted(shared)}


def _lessons(inputs: Mapping[str, Path]) -> Iterator[tuple[str, list[Record]]]:
    for role, folder in inputs.items():
        if role.startswith(LEARNT):
            records = [record for path in sorted(folder.glob("*.train.jsonl")) for record in read_items(path, Record)]
            yield role.removeprefix(LEARNT), records


def _count(one: Mapping[str, Any]) -> str:
    return f"{len(one['shared'])} of {one['items']} records of {one['lesson']}"


def _problem(one: Mapping[str, Any]) -> Problem:
    got = f"{_count(one)} that do: {some(one['shared'])}"
    do = "Leave them out, set data.leak_share for stock phrases, or say in data.allow_overlap why it may be."
    return Problem(f"No record that is learnt may repeat a test item of {one['task']}.", got, do=do)
