"""The worst regressions are items that a merge lost to the better parent, in order of loss, and only with text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suture.report.data import AnswerSet, ReportData
from suture.report.html import render_report
from suture.report.regressions import regressions


@pytest.fixture
def lost(report: ReportData) -> ReportData:
    contrasts = tuple(
        replace(c, worst_items=("i1", "i2", "unknown"), sd=2.0)
        if (c.model, c.against, c.metric) == ("linear 0.5", "clinical", "fact_recall")
        else replace(c, worst_items=(), forgotten_items=())
        for c in report.comparison.contrasts
    )
    answers = tuple(
        AnswerSet(
            "clinic_summary", f"i{number}", f"prompt {number}", "reference",
            {"clinical": "said", "linear 0.5": "unsaid"},
            {"clinical": {"fact_recall": 0.9}, "linear 0.5": {"fact_recall": 0.9 - 0.2 * number}},
        )
        for number in (1, 2)
    )  # fmt: skip
    comparison = replace(report.comparison, contrasts=contrasts)
    return replace(report, answers=answers, comparison=comparison)


def test_the_greatest_loss_comes_first(lost: ReportData) -> None:
    found = regressions(lost)
    assert [(row.model, row.against, row.answer) for row in found] == [
        ("linear 0.5", "clinical", 1),
        ("linear 0.5", "clinical", 0),
    ]
    assert [row.loss for row in found] == pytest.approx([0.4, 0.2])


def test_the_page_holds_them_with_text_only(lost: ReportData) -> None:
    assert 'id="regression-list"' in render_report(lost)
    without = render_report(lost, text=False)
    assert 'id="regression-list"' not in without
    assert '"regressions":[]' in without
