"""The gate: accepted only where both intervals exclude 0 on the expected side."""

from __future__ import annotations

import math

import pytest

from suture.compare.gate import check_gate
from suture.compare.verdicts import Comparison, Contrast, Interval
from suture.errors import UsageError


def comparison(instruction: tuple[float, float], notes: tuple[float, float]) -> Comparison:
    rows = tuple(
        Contrast(
            "clinical", "general", task, metric, 20, 20, (low + high) / 2, Interval(low, high, 0.95, "test"),
            math.nan, math.nan, math.nan, (), (), math.nan, 0.1, "descriptive",
        )
        for task, metric, (low, high) in (
            ("contrast", "contrast", instruction),
            ("clinic_likelihood", "log_likelihood", notes),
        )
    )  # fmt: skip
    return Comparison(("general", "clinical"), ("general", "clinical"), {}, (), rows, (), ())


@pytest.mark.parametrize(
    ("instruction", "notes", "passed"),
    [
        ((-8.0, -5.0), (0.7, 1.1), (True, True)),
        ((-8.0, 0.1), (0.7, 1.1), (False, True)),
        ((-8.0, -5.0), (-0.1, 1.1), (True, False)),
        ((5.0, 8.0), (-1.1, -0.7), (False, False)),
        ((math.nan, math.nan), (0.7, 1.1), (False, True)),
    ],
)
def test_both_losses_and_gains_must_be_established(
    instruction: tuple[float, float], notes: tuple[float, float], passed: tuple[bool, bool]
) -> None:
    gate = check_gate(comparison(instruction, notes), general="general", clinical="clinical")
    assert tuple(check.passed for check in gate.checks) == passed
    assert gate.accepted is all(passed)
    assert gate.sentence.startswith("Accepted" if all(passed) else "No forgetting to mitigate")


def test_the_sentence_carries_the_figures() -> None:
    gate = check_gate(comparison((-8.0, -5.0), (0.7, 1.1)), general="general", clinical="clinical")
    assert gate.sentence == (
        "Accepted: clinical lies below general on contrast (-6.5, 95 % interval -8 to -5); "
        "clinical lies above general on clinic_likelihood (+0.9, 95 % interval +0.7 to +1.1)."
    )


def test_the_sentence_says_why_there_is_no_interval() -> None:
    found = check_gate(comparison((math.nan, math.nan), (0.7, 1.1)), general="general", clinical="clinical")
    assert "clinical is not established below general on contrast (+nan, no interval: test)" in found.sentence


def test_a_missing_contrast_is_refused() -> None:
    with pytest.raises(UsageError, match="mts_likelihood"):
        check_gate(
            comparison((-8.0, -5.0), (0.7, 1.1)),
            general="general",
            clinical="clinical",
            notes=("mts_likelihood", "log_likelihood"),
        )
