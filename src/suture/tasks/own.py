"""A task of one's own: eight lines of YAML that name a JSONL file, its fields, a prompt and metrics.

    name: discharge_letter
    data: letters.jsonl
    input: note
    target: letter
    prompt: "Write the discharge letter of this stay.\\n\\n{{input}}"
    split: test
    encounter: stay_id
    metrics: [rougeL, fact_omission, fact_fabrication]

With `options` (a field with a list of texts) instead of `metrics` it is multiple choice, and target the field with the
right option: its index from 0, its letter, or its text.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from suture.data.prepare import check_items
from suture.data.readers.medical import LETTERS
from suture.data.records import Choice, Record
from suture.data.tables import Row, read_rows, tidy
from suture.errors import BadInputError, Problem, UsageError, refuse
from suture.strict_yaml import StrictModel, load_yaml
from suture.tasks.registry import TASKS
from suture.tasks.suites import CHOICE, SUITE_TASKS, TEXT
from suture.tasks.task import Task

Items = list[Record] | list[Choice]


class OwnTask(StrictModel):
    """The keys of a task file; data is relative to the file's own folder."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    data: str
    input: str
    target: str
    prompt: str
    split: str = ""
    encounter: str = ""
    id: str = ""
    options: str = ""
    metrics: tuple[str, ...] = ()
    max_new_tokens: int = Field(default=256, ge=1)
    axis: Literal["instruction", "medical", "clinical", "general"] = "clinical"

    @field_validator("name")
    @classmethod
    def _is_new(cls, name: str) -> str:
        if name in TASKS or name in SUITE_TASKS:
            raise ValueError("name must not be the name of a task of Suture")
        return name

    @model_validator(mode="after")
    def _is_judged(self) -> Self:
        if bool(self.options) == bool(self.metrics):
            raise ValueError(f"either metrics or options must be given, got {'both' if self.options else 'neither'}")
        return self

    @field_validator("prompt")
    @classmethod
    def _asks(cls, prompt: str) -> str:
        if not re.search(r"\{+\s*input\b", prompt):
            raise ValueError("prompt must hold {{input}}, where the item's text stands")
        return prompt


def read_own_task(path: Path, known: tuple[str, ...]) -> tuple[Task, Items]:
    """Return the task and its items; `known` are the metrics that there are.

    Raises UsageError for a malformed file, BadInputError for malformed data: repeated ids, empty inputs or references,
    answers that are none of the options. Every problem is named, with its row, and no text of the data.
    """
    own = load_own_task(path, known)
    return task_of(own), items_of(own)


def load_own_task(path: Path, known: tuple[str, ...] | None = None) -> OwnTask:
    """Return the keys of a task file, its data as an absolute path; `known` are the metrics that there are, if known.

    Raises UsageError with every problem of the file.
    """
    own = load_yaml(path, OwnTask)
    if known is not None:
        must, where = f"A metric must be one of {', '.join(known)}.", f"{path}, metrics"
        refuse(UsageError, [Problem(must, f"'{name}'", where) for name in own.metrics if name not in known])
    return own.model_copy(update={"data": str((path.parent / own.data).absolute())})


def lesson_of(own: OwnTask, split: str, where: str) -> list[Record]:
    """Return the rows of another split of a task's data than its test, to learn from; `where` names the task.

    Raises UsageError for a task without `split`, for the split that is tested, and for multiple choice.
    """
    if not own.split or own.split == split or own.options:
        got = "multiple choice" if own.options else f"split: {own.split or 'none'}"
        must = f"A task file that is learnt from must test another split than '{split}', and have written answers."
        raise UsageError(Problem(must, got, where, "Add the field split to the data, and `split: test` here."))
    learnt = items_of(own.model_copy(update={"split": split}))
    records = [item for item in learnt if isinstance(item, Record)]
    if not own.id:  # rows are numbered within a split
        names = [f"{own.name}-{split}-{number}" for number in range(1, len(records) + 1)]
        records = [
            replace(record, id=name, encounter=record.encounter if own.encounter else name)
            for record, name in zip(records, names, strict=True)
        ]
    return records


def is_taught(own: OwnTask) -> bool:
    """Say whether the data of a task holds rows with the split "train", to learn from, beside those of its test."""
    if not own.split or own.split == "train" or own.options:
        return False
    return any(row["split"] == "train" for row in read_rows(Path(own.data), ["split"]))


def task_of(own: OwnTask) -> Task:
    """Return the task that a file describes."""
    metrics = ("accuracy", "accuracy_norm", "answer_nll") if own.options else _with_side_effects(own.metrics)
    return Task(
        name=own.name,
        axis=own.axis,
        kind="harness",
        instruction=own.prompt if "{{" in own.prompt else own.prompt.replace("{input}", "{{input}}"),
        metrics=metrics,
        primary=metrics[0],
        binary=bool(own.options),
        max_new_tokens=0 if own.options else own.max_new_tokens,
        protocol=CHOICE if own.options else TEXT,
        source="a task file of one's own",
    )


def _with_side_effects(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*metrics, "words", "repetition", "language_mixing", "refusal", "empty")))


def items_of(own: OwnTask) -> Items:
    """Return the items of a task whose data is an absolute path. Raises BadInputError with every problem, by row."""
    path = Path(own.data)
    fields = [name for name in (own.input, own.target, own.encounter, own.id, own.options) if name]
    rows = read_rows(path, fields + (["split"] if own.split else []))
    if own.split:
        rows = [row for row in rows if row["split"] == own.split]
        if not rows:
            got = f"no row with split '{own.split}'"
            raise BadInputError(Problem("The data must hold the split.", got, str(path)))
    names = [tidy(row[own.id]) if own.id else f"{own.name}-{number}" for number, row in enumerate(rows, start=1)]
    groups = [tidy(row[own.encounter]) if own.encounter else name for row, name in zip(rows, names, strict=True)]
    if own.options:
        choices = [_choice(own, row, *where) for row, *where in zip(rows, names, groups, strict=True)]
        check_items(choices, str(path))
        return choices
    records = [
        Record(name, own.name, group, "", tidy(row[own.input]), tidy(row[own.target]), own.split, "one's own")
        for row, name, group in zip(rows, names, groups, strict=True)
    ]
    check_items(records, str(path))
    return records


def _choice(own: OwnTask, row: Row, name: str, group: str) -> Choice:
    raw: Any = row[own.options]
    options = tuple(str(option) for option in (raw.values() if isinstance(raw, dict) else raw or ()))
    answer = row[own.target]
    if isinstance(answer, str):
        letter = LETTERS.find(answer.strip()) if len(answer.strip()) == 1 else -1
        index = options.index(answer) if answer in options else letter
    else:
        index = answer if type(answer) is int else -1
    index = index if 0 <= index < len(options) else -1  # a letter beyond the last option is none of them either
    return Choice(name, group, tidy(row[own.input]), options, index)
