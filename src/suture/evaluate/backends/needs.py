"""What tasks need of whoever runs the model."""

from __future__ import annotations

from collections.abc import Sequence

from suture.errors import Problem, UsageError, refuse
from suture.evaluate.workload import Workload

LOCAL_ONLY = ("contrast", "drift")


def reads(load: Workload) -> bool:
    """Whether a task needs the log-probabilities of given texts."""
    if load.task.kind in ("choice", "likelihood"):
        return True
    return load.task.kind == "harness" and load.task.max_new_tokens == 0


def refuse_local_only(work: Sequence[Workload]) -> None:
    """Raise UsageError for tasks that only the model in this process can do."""
    problems = [
        Problem(f"{load.task.name} needs the model in this process.", "another backend", do="Use --backend hf.")
        for load in work
        if load.task.kind in LOCAL_ONLY
    ]
    refuse(UsageError, problems)
