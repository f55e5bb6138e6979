"""The gate of a study: is there forgetting to mitigate? Asked of the two parents before any merge is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from suture.compare.verdicts import Comparison, Interval
from suture.errors import Problem, UsageError

INSTRUCTION = ("contrast", "contrast")
NOTES = ("clinic_likelihood", "log_likelihood")


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One expectation on clinical - general, in the metric's unit; passed where its interval excludes 0 as expected."""

    task: str
    metric: str
    expected: str
    difference: float
    interval: Interval
    passed: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether the pair shows the trade-off that merging is to mitigate, why, and the sentence that says so."""

    accepted: bool
    checks: tuple[GateCheck, ...]
    sentence: str


def check_gate(
    comparison: Comparison,
    *,
    general: str,
    clinical: str,
    instruction: tuple[str, str] = INSTRUCTION,
    notes: tuple[str, str] = NOTES,
) -> Gate:
    """Ask that `clinical` lies below `general` on `instruction` and above it on `notes`, each (task, metric).

    Raises UsageError where the comparison lacks the contrast of clinical against general on one of them.
    """
    checks = (
        _check(comparison, clinical, general, instruction, "below"),
        _check(comparison, clinical, general, notes, "above"),
    )
    accepted = all(check.passed for check in checks)
    start = "Accepted" if accepted else "No forgetting to mitigate"
    return Gate(accepted, checks, f"{start}: {'; '.join(_sentence(check, clinical, general) for check in checks)}.")


def _check(comparison: Comparison, clinical: str, general: str, axis: tuple[str, str], expected: str) -> GateCheck:
    task, metric = axis
    found = comparison.contrast(clinical, general, task, metric)
    if found is None:
        must = "The gate needs the clinical parent compared with the general one."
        raise UsageError(Problem(must, "no contrast", f"{task} {metric}", "Evaluate both parents on this task."))
    passed = found.interval.high < 0 if expected == "below" else found.interval.low > 0
    return GateCheck(task, metric, expected, found.difference, found.interval, passed)


def _sentence(check: GateCheck, clinical: str, general: str) -> str:
    low, high, method = check.interval.low, check.interval.high, check.interval.method
    interval = f"95 % interval {low:+.3g} to {high:+.3g}" if isfinite(low) else f"no interval: {method}"
    claim = f"{clinical} {'lies' if check.passed else 'is not established'} {check.expected} {general}"
    return f"{claim} on {check.task} ({check.difference:+.3g}, {interval})"
