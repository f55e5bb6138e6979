"""What every model answered to the same prompt, beside the reference and the facts: the report's side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suture.data.records import Record
from suture.report.data import AnswerSet, FactMark, FactState
from suture.study.tasks import kept_task, writes
from suture.study.texts import read_test

if TYPE_CHECKING:
    from suture.evaluate.items import ItemRow
    from suture.evaluate.metrics.facts import Vocabulary
    from suture.tasks.task import Task

SHOWN = 48  # items of a task: a report of the full protocol must still open
Rows = Mapping[str, Mapping[str, "ItemRow"]]


def answer_sets(name: str, source: Path, folders: Mapping[str, Path]) -> Iterator[AnswerSet]:
    """Yield one set an item of the task `name`, none for a task without written answers.

    source is the folder of the task's items, folders maps a label to the folder of its evaluation.
    """
    from suture.evaluate.items import read_rows

    task = kept_task(name, source)
    present = {label: folder / name for label, folder in folders.items() if (folder / name).is_dir()}
    if (task.kind == "ifeval" or writes(task)) and present:
        rows = {label: {row.item_id: row for row in read_rows(folder)} for label, folder in present.items()}
        asked = {item for table in rows.values() for item in table}
        yield from (
            _instructed(name, source, asked, rows) if task.kind == "ifeval" else _summarised(task, source, asked, rows)
        )


def _instructed(name: str, source: Path, asked: set[str], rows: Rows) -> Iterator[AnswerSet]:
    prompts = [json.loads(line) for line in (source / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    for prompt in [prompt for prompt in prompts if str(prompt["key"]) in asked][:SHOWN]:
        answers, scores = _of(str(prompt["key"]), rows)
        wanted = "Instructions: " + ", ".join(prompt["instruction_id_list"])
        yield AnswerSet(name, str(prompt["key"]), prompt["prompt"], wanted, answers, scores)


def _summarised(task: Task, source: Path, asked: set[str], rows: Rows) -> Iterator[AnswerSet]:
    from suture.evaluate.metrics.facts import vocabulary

    records: list[Record] = read_test(task.name, source, None)
    words = vocabulary(record.facts for record in records)
    shown = [record for record in records if record.id in asked][:SHOWN]
    for record, prompt in zip(shown, _prompts(task, shown), strict=True):
        answers, scores = _of(record.id, rows)
        marks = {label: _marks(answer, record, words) for label, answer in answers.items()} if record.facts else {}
        yield AnswerSet(task.name, record.id, prompt, record.target, answers, scores, marks)


def _prompts(task: Task, records: Sequence[Record]) -> list[str]:
    """Return the user's turn for each record; the harness renders its own tasks, whose prompts may use other fields."""
    if task.kind != "harness":
        return [task.user_text(record.input) for record in records]
    from suture.evaluate import harness

    return [question.context for question in harness.ask(task, records, None).questions] if records else []


def _of(item: str, rows: Rows) -> tuple[dict[str, str], dict[str, Mapping[str, float]]]:
    found = {label: table[item] for label, table in rows.items() if item in table}
    return {label: row.response for label, row in found.items()}, {label: row.scores for label, row in found.items()}


def _marks(answer: str, record: Record, words: Vocabulary) -> tuple[FactMark, ...]:
    from suture.evaluate.metrics.facts import judge

    found = judge(answer, record.facts, record.input, words)
    states: tuple[tuple[FactState, frozenset[tuple[str, ...]]], ...] = (
        ("found", found.stated),
        ("missing", found.missing),
        ("fabricated", found.made_up),
    )
    return tuple(FactMark(claim[0], " ".join(claim[1:]), state) for state, claims in states for claim in sorted(claims))
