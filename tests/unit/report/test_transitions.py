"""The bars' four shares are those of the items, and sum to one."""

from __future__ import annotations

import pytest

from suture.report.data import ReportData
from suture.report.transitions import panels


def test_shares_add_up(report: ReportData) -> None:
    for panel in panels(report):
        for bar in panel.bars:
            assert bar.kept + bar.forgotten + bar.gained + bar.neither == pytest.approx(1)


def test_kept_and_gained_make_the_models_score(report: ReportData) -> None:
    panel = next(p for p in panels(report) if (p.measure, p.against) == ("accuracy on record questions", "clinical"))
    bar = next(bar for bar in panel.bars if bar.model == "linear 0.5")
    score = report.comparison.score("linear 0.5", "clinic_mcq", "accuracy")
    assert score is not None
    assert bar.kept + bar.gained == pytest.approx(score.value)
    assert panel.n == 96
    assert bar.forgotten > 0


def test_only_binary_metrics_have_panels(report: ReportData) -> None:
    assert {panel.measure for panel in panels(report)} == {
        "positive contrast", "prompts passed, strict on IFEval", "accuracy on record questions",
    }  # fmt: skip
