"""Histograms: on one scale a panel, every item counted, losses on the side that is worse."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import pytest

from suture.compare.verdicts import Contrast
from suture.report.data import ReportData
from suture.report.distributions import HEIGHT, spreads


def with_counts(report: ReportData, metric: str, margin: float) -> ReportData:
    def filled(contrast: Contrast) -> Contrast:
        if contrast.metric != metric:
            return contrast
        return replace(
            contrast, quantiles=(-2.0, -1.5, -1.0, 0.5, 1.0, 1.5, 2.0), histogram=(1, 0, 2, 4), margin=margin
        )

    comparison = report.comparison
    return replace(report, comparison=replace(comparison, contrasts=tuple(map(filled, comparison.contrasts))))


def test_bars_stand_where_their_items_do(report: ReportData) -> None:
    panel = spreads(with_counts(report, "contrast", 1.0))[0]
    assert (panel.measure, panel.against, panel.zero, panel.margin) == (
        "instruction contrast (nats)",
        "general",
        50.0,
        25.0,
    )
    row = panel.rows[0]
    assert [(b.x, b.width, b.height, b.worse) for b in row.bins] == [
        (0.0, 25.0, HEIGHT / 4, True),
        (50.0, 25.0, HEIGHT / 2, False),
        (75.0, 25.0, HEIGHT, False),
    ]
    assert row.median == pytest.approx(62.5)
    assert row.lost == "+0.50 [−1.50,\u202f+1.50]"
    assert "90 % of the items" in row.spoken


def test_where_less_is_better_the_other_side_is_worse(report: ReportData) -> None:
    bare = replace(report, comparison=replace(report.comparison, axes=()))
    panel = spreads(with_counts(bare, "fact_fabrication", float("nan")))[0]
    assert [b.worse for b in panel.rows[0].bins] == [False, True, True]
    assert isnan(panel.margin)


def test_contrasts_without_a_histogram_have_no_panel(report: ReportData) -> None:
    assert spreads(report) == ()
