"""A report of a comparison alone, without the study that would tell how its models came to be."""

from __future__ import annotations

from math import nan

from suture.compare.gate import Gate
from suture.compare.verdicts import Comparison
from suture.errors import UsageError
from suture.report.data import ModelCard, Provenance, ReportData, Role
from suture.tasks.registry import get_task

NO_GATE = Gate(True, (), "No gate was asked: the models are compared as they were given.")
PARENTS: tuple[Role, Role] = ("general", "clinical")


def bare_report(title: str, comparison: Comparison) -> ReportData:
    """Return the report of `comparison`; of two parents the first is the general and the second the clinical one."""
    tasks = dict.fromkeys(score.task for score in comparison.scores)
    return ReportData(
        title=title,
        synthetic=False,
        notes=(),
        models=tuple(_card(comparison, label) for label in comparison.models),
        path=(),
        comparison=comparison,
        task_axes={task: axis_of(task) for task in tasks},
        planning=(),
        answers=(),
        gate=NO_GATE,
        realised=(),
        provenance=Provenance("", "", {}, {}, ()),
    )


def axis_of(task: str) -> str:
    """Return the axis of a task that Suture knows, "" for any other."""
    try:
        return get_task(task).axis
    except UsageError:
        return ""


def primary_of(task: str) -> str:
    """Return the primary metric of a task that Suture knows, "" for any other."""
    try:
        return get_task(task).primary
    except UsageError:
        return ""


def _card(comparison: Comparison, label: str) -> ModelCard:
    role: Role = "merge"
    if label in comparison.against:
        role = dict(zip(comparison.against, PARENTS, strict=False)).get(label, "ancestor")
    return ModelCard(label, role, "", nan, nan, comparison.digests.get(label, ""))
