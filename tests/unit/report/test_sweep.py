"""Coefficient curves: every axis has its measures, lines run from parent to parent, up is better, numbers are shown."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from suture.compare.verdicts import Interval
from suture.report.curves import BOTTOM, HEIGHT, TOP, Panel
from suture.report.data import ReportData
from suture.report.document import tables_of
from suture.report.html import render_report
from suture.report.sweep import Group, sweep_groups, sweep_table


def group(data: ReportData, title: str) -> Group:
    return next(found for found in sweep_groups(data) if found.title == title)


def panel(data: ReportData, title: str, measure: str) -> Panel:
    return next(found for found in group(data, title).panels if found.measure.startswith(measure))


def with_slerp(report: ReportData) -> ReportData:
    """The same report with SLERP merges beside the linear ones, at the same coefficients."""
    found, cards = report.comparison, list(report.models)
    scores = list(found.scores)
    for a in ("0.25", "0.5"):
        card = report.card(f"linear {a}")
        assert card is not None
        cards.append(replace(card, label=f"slerp {a}", method="slerp"))
        scores += [replace(s, model=f"slerp {a}", value=s.value + 0.01) for s in found.scores if s.model == card.label]
    return replace(report, models=tuple(cards), comparison=replace(found, scores=tuple(scores)))


def test_every_axis_side_effects_and_drift_have_panels(report: ReportData) -> None:
    measures = {found.title: [panel.measure for panel in found.panels] for found in sweep_groups(report)}
    assert measures == {
        "Instruction following": ["instruction contrast (nats)", "prompts passed, strict on IFEval (%)"],
        "Medical knowledge": ["accuracy on record questions (%)"],
        "Clinical generation": [
            "log-likelihood of held-out notes (nats a token)",
            "fact recall on clinic summaries (%)",
            "made-up facts on clinic summaries (an answer)",
            "ROUGE-L on clinic summaries",
        ],
        "Side effects": ["words an answer on clinic summaries (words)"],
        "Drift": ["KL to general on drift (nats a token)", "KL to clinical on drift (nats a token)"],
    }


def test_a_line_runs_over_the_path_and_its_band_over_the_intervals(report: ReportData) -> None:
    found = panel(report, "Medical knowledge", "accuracy")
    (line,) = found.lines
    assert line.start == "linear"
    assert [text for _, text in found.across] == ["0", "0.25", "0.5", "0.75", "1"]
    assert [x for x, _ in line.points] == [x for x, _ in found.across]
    assert len(line.band) == 2 * len(line.points)
    score = report.comparison.score("linear 0.5", "clinic_mcq", "accuracy")
    assert score is not None
    assert line.said[2].startswith(f"a = 0.5: {100 * score.value:.1f} [")
    (top, high), (bottom, low) = found.up[2], found.up[0]
    share = (100 * score.value - float(low)) / (float(high) - float(low))
    assert line.points[2][1] == pytest.approx(bottom + share * (top - bottom), abs=0.5)
    assert found.floor is not None
    assert found.floor[1] == "floor: chance"


def test_up_is_better_where_less_is(report: ReportData) -> None:
    found = panel(report, "Clinical generation", "made-up facts")
    places = [y for _, y in found.lines[0].points]
    assert places == sorted(places)  # more are made up towards the clinical parent, and so the line falls
    assert float(found.up[0][1]) > float(found.up[2][1])
    assert all(TOP - 1e-9 <= y <= HEIGHT - BOTTOM + 1e-9 for _, y in found.lines[0].band)


def test_each_method_has_a_line_the_linear_path_first_and_both_share_the_parents(report: ReportData) -> None:
    found = panel(with_slerp(report), "Medical knowledge", "accuracy")
    linear, slerp = found.lines
    assert (linear.start, slerp.start) == ("linear", "slerp")
    assert (linear.style, slerp.style) == (0, 1)
    assert (len(linear.points), len(slerp.points)) == (5, 4)
    assert linear.points[0] == slerp.points[0]
    assert linear.points[-1] == slerp.points[-1]


def test_what_no_coefficient_changes_is_said_instead_of_drawn(report: ReportData) -> None:
    found = report.comparison
    empty = [replace(s, metric="empty", value=0.0) for s in found.scores if s.metric == "words"]
    flat = replace(report, comparison=replace(found, scores=(*found.scores, *empty)))
    assert group(flat, "Side effects").flat == ("empty answers on clinic summaries (%): 0.0",)
    assert "The same at every coefficient: empty answers" in render_report(flat)


def test_a_missing_interval_is_no_band_and_a_missing_score_no_point(report: ReportData) -> None:
    found = report.comparison
    scores = [
        replace(s, interval=Interval(nan, nan, 0.95, "one cluster"))
        for s in found.scores
        if s.model != "linear 0.5" or s.task != "clinic_mcq"
    ]
    drawn = panel(replace(report, comparison=replace(found, scores=tuple(scores))), "Medical knowledge", "accuracy")
    (line,) = drawn.lines
    assert len(line.points) == 4
    assert line.band == (*line.points, *reversed(line.points))


def test_the_table_holds_the_numbers_and_stands_in_every_format(report: ReportData) -> None:
    table = sweep_table(with_slerp(report))
    assert table.columns == ("measure", "method", "0", "0.25", "0.5", "0.75", "1")
    rows = [row for row in table.rows if row.cells[0].text == "accuracy on record questions (%)"]
    assert [row.cells[1].text for row in rows] == ["linear", "slerp"]
    score = report.comparison.score("linear 0.25", "clinic_mcq", "accuracy")
    assert score is not None
    assert rows[0].cells[3].text == f"{100 * score.value:.1f}"
    assert rows[0].cells[3].details
    assert rows[1].cells[5].text == "–"  # no SLERP at 0.75
    assert "Along the coefficient" in [found.title for found in tables_of(report)]


def test_without_coefficients_there_are_no_curves(report: ReportData) -> None:
    bare = replace(report, path=(), models=tuple(replace(card, nominal=nan) for card in report.models))
    assert sweep_groups(bare) == ()
    assert "Along the coefficient" not in render_report(bare)
    assert "Along the coefficient" not in [found.title for found in tables_of(bare)]


def test_the_page_draws_each_panel_with_its_scale_and_says_its_points(report: ReportData) -> None:
    page = render_report(report)
    assert page.count('data-scale="') == sum(len(found.panels) for found in sweep_groups(report))
    assert "<title>linear, a = 0.25: " in page
