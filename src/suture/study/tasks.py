"""Which tasks a study can ask, and which step writes the items of each: built-in tasks, those of suites, one's own.

A step that writes items of a task of one's own keeps the task beside them, so that later steps need not its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from suture.tasks.own import OwnTask, task_of
from suture.tasks.registry import TASKS, get_task
from suture.tasks.suites import SUITE_TASKS
from suture.tasks.task import Task

LESSON, TEST = "lesson", "test"
# Which data each built-in task and each lesson of a parent needs.
SOURCES: Mapping[str, str] = {
    "contrast": "instructions",
    "clinic_mcq": "clinic",
    "clinic_summary": "clinic",
    "clinic_likelihood": "clinic",
    "mts_section": "mts_dialog",
    "mts_likelihood": "mts_dialog",
}
TEMPLATED = ("clinic", "instructions")  # sources whose texts share words by design
LESSONS: Mapping[str, str] = {
    "instructions": "instructions",
    "notes": "clinic",
    "texts": "texts",
    "mts_section": "mts_dialog",
}


def known_tasks(own: Iterable[OwnTask]) -> Mapping[str, Task]:
    """Return every task by name: those of the suites, the built-in ones, and `own`."""
    return {**SUITE_TASKS, **TASKS, **{keys.name: task_of(keys) for keys in own}}


def writes(task: Task) -> bool:
    """Say whether a task has written answers that can be learnt: a built-in generation task, or one of the harness."""
    return task.kind == "generation" or (task.kind == "harness" and not task.binary)


def source_step(task: str) -> str:
    """Return the name of the step that writes a task's items."""
    fixed = {"ifeval": "prompts", "drift": "drift records"}
    return fixed.get(task) or (f"{SOURCES[task]} {TEST}" if task in SOURCES else f"task {task} {TEST}")


def lesson_step(task: str) -> str:
    """Return the name of the step that writes what is learnt of a task."""
    return f"{SOURCES[task]} {LESSON}" if task in SOURCES else f"task {task} {LESSON}"


def keep_task(folder: Path, task: Task) -> None:
    """Write a task that no registry knows beside its items."""
    (folder / f"{task.name}.task.json").write_text(json.dumps(asdict(task), indent=1), encoding="utf-8")


def kept_task(name: str, folder: Path) -> Task:
    """Return the task whose items a step wrote to `folder`."""
    path = folder / f"{name}.task.json"
    if not path.is_file():
        return get_task(name)
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Task(**raw | {"metrics": tuple(raw["metrics"])})
