"""The neutral tables carry the comparison's figures, cell by cell."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from suture.report import contrasts, tables
from suture.report.data import RealisedRow, ReportData
from suture.report.table import Cell, Table


def cells(table: Table, *key: str) -> dict[str, Cell]:
    row = next(row for row in table.rows if tuple(cell.text for cell in row.cells[: len(key)]) == key)
    return dict(zip(table.columns, row.cells, strict=True))


def test_scores_hold_mean_and_interval(report: ReportData) -> None:
    score = report.comparison.score("linear 0.5", "contrast", "contrast")
    assert score is not None
    cell = cells(tables.score_table(report), "linear 0.5")["instruction contrast (nats)"]
    assert cell.text == f"{score.value:.2f} [{score.interval.low:.2f},\u202f{score.interval.high:.2f}]"
    assert cells(tables.score_table(report), "best floor")["accuracy on record questions (%)"].text == "25.0 (chance)"


def test_what_carries_no_margin_is_described_beside_its_floors(report: ReportData) -> None:
    scores = [s for s in report.comparison.scores if (s.task, s.metric) == ("clinic_summary", "rougeL")]
    floor = replace(scores[0], model="copy", value=12.34)
    found = {table.title: table for table in tables.description_tables(replace(report, floors=(floor,)))}
    table = found["Clinic summaries"]
    assert cells(table, scores[0].model)["ROUGE-L"].text == f"{scores[0].value:.1f}"
    assert cells(table, "copy")["ROUGE-L"].text == "12.3"
    judged = {tables.measure(axis.task, axis.metric) for axis in report.comparison.axes}
    assert not any(f"{column} on clinic summaries" in judged for column in table.columns)


def test_every_model_and_parent_has_a_row_of_verdicts(report: ReportData) -> None:
    table = tables.verdict_table(report)
    pairs = {(row.cells[0].text, row.cells[1].text) for row in table.rows}
    wanted = {(c.model, c.against) for c in (*report.comparison.contrasts, *report.replicates)}
    assert pairs == wanted
    assert table.rows[-1].model == "A/A"


def test_a_verdict_carries_difference_items_and_retention(report: ReportData) -> None:
    contrast = report.comparison.contrast("linear 0.5", "clinical", "clinic_mcq", "accuracy")
    assert contrast is not None
    cell = cells(tables.verdict_table(report), "linear 0.5", "clinical")[
        "accuracy on record questions (%), margin 10.0"
    ]
    assert (cell.text, cell.tone) == ("? not established", "open")
    assert cell.details[1:] == (
        f"−{100 * contrast.forgotten:.1f}\u202f% +{100 * contrast.gained:.1f}\u202f% items",
        f"retains {100 * contrast.retention:.1f}\u202f%",
    )


@pytest.mark.parametrize(
    ("nominal", "realised", "warned"),
    [(0.5, 0.52, False), (0.5, 0.53, True), (0.1, 0.01, True), (0.0, 0.0, False), (0.5, nan, True)],
)
def test_a_realised_coefficient_is_marked_beyond_five_per_cent(nominal: float, realised: float, warned: bool) -> None:
    assert tables.needs_warning(RealisedRow(nominal, "bfloat16", "nearest", realised)) is warned


def test_realised_rows_are_pivoted(report: ReportData) -> None:
    row = cells(tables.realised_table(report), "0.25")
    assert row["float32"].text == "0.250"
    assert row["bfloat16, nearest"].text == "! 0.175"
    assert row["bfloat16, nearest"].tone == "warn"


def test_planning_says_what_is_provable(report: ReportData) -> None:
    row = cells(tables.planning_table(report), "Medical knowledge")
    assert (row["n"].text, row["margin"].text, row["provable"].tone) == ("96", "10.0", "open")


def test_drift_is_a_distance_and_never_judged(report: ReportData) -> None:
    table = tables.drift_table(report)
    assert table.columns == ("model", "KL to general, nats a token", "KL to clinical, nats a token")
    assert {cell.tone for row in table.rows for cell in row.cells} == {""}
    assert not any("KL to" in row.cells[2].text for row in contrasts.contrast_table(report).rows)


def test_an_unscored_model_shows_a_dash(report: ReportData) -> None:
    scores = tuple(s for s in report.comparison.scores if (s.model, s.task) != ("ancestor", "contrast"))
    unscored = replace(report, comparison=replace(report.comparison, scores=scores))
    assert cells(tables.score_table(unscored), "ancestor")["instruction contrast (nats)"].text == "–"
