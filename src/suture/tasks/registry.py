"""All tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from suture.errors import Problem, UsageError
from suture.tasks import (
    clinic_likelihood,
    clinic_mcq,
    clinic_summary,
    contrast,
    drift,
    ifeval,
    mts_likelihood,
    mts_section,
)
from suture.tasks.canaries import TASK as CANARIES
from suture.tasks.suites import SUITE_TASKS
from suture.tasks.task import Task

_MODULES = (
    ifeval,
    contrast,
    clinic_mcq,
    clinic_summary,
    clinic_likelihood,
    mts_section,
    mts_likelihood,
    drift,
)
TASKS: Mapping[str, Task] = MappingProxyType({module.TASK.name: module.TASK for module in _MODULES})


def is_suite_task(name: str) -> bool:
    """Say whether a task is one of a suite that takes its items from the folder of data sets, not a built-in one."""
    return name in SUITE_TASKS and name not in TASKS


def get_task(name: str) -> Task:
    """Return the task `name`, one of a suite too; raises UsageError, which names the nearest known one."""
    known = {**SUITE_TASKS, **{CANARIES.name: CANARIES}, **TASKS}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1, cutoff=0.0)
    raise UsageError(Problem(f"A task must be one of {', '.join(known)}.", name, do=f"Did you mean {near[0]}?"))
