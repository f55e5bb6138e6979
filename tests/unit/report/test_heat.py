"""The heat map says with mark and word what its colours say, against the parent that has something to lose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suture.report.data import ReportData
from suture.report.heat import HEAT_MARKS, WORDS, heat_map, heat_table
from suture.report.html import render_report


def test_cells_carry_the_verdict_against_the_better_parent(report: ReportData) -> None:
    found = heat_map(report)
    names = [name for name, _ in found.columns]
    rows = dict(found.rows)
    contrast = report.comparison.contrast("linear 0.5", "general", "contrast", "contrast")
    cell = rows["linear 0.5"][names.index("instruction contrast (nats)")]
    assert contrast is not None
    assert cell is not None
    assert (cell.tone, cell.against) == ({"kept": "kept", "forgotten": "forgotten"}[contrast.verdict], "general")
    assert f"{contrast.difference:+.2f}".replace("-", "−") in cell.difference
    own = rows["general"][names.index("instruction contrast (nats)")]
    assert own is not None
    assert (own.tone, own.mark, own.difference) == ("own", "=", "")


def test_a_task_has_one_column_unless_it_is_judged_on_more(report: ReportData) -> None:
    names = [name for name, _ in heat_map(report).columns]
    assert names == [
        "instruction contrast (nats)",
        "accuracy on record questions (%)",
        "log-likelihood of held-out notes (nats a token)",
        "fact recall on clinic summaries (%)",
        "prompts passed, strict on IFEval (%)",
    ]


def test_an_unjudged_measure_says_only_whether_zero_is_excluded(report: ReportData) -> None:
    comparison = report.comparison
    key = ("clinical", "general", "ifeval", "prompt_level_strict")
    for bounds, tone in (((-0.3, -0.1), "worse"), ((-0.1, 0.1), "level"), ((0.1, 0.3), "better")):
        contrasts = tuple(
            replace(c, interval=replace(c.interval, low=bounds[0], high=bounds[1]))
            if (c.model, c.against, c.task, c.metric) == key
            else c
            for c in comparison.contrasts
        )
        found = heat_map(replace(report, comparison=replace(comparison, contrasts=contrasts)))
        cell = dict(found.rows)["clinical"][-1]
        assert cell is not None
        assert cell.tone == tone


def test_every_tone_has_a_mark_and_a_word_of_its_own(report: ReportData) -> None:
    tones = set(WORDS)
    assert len({HEAT_MARKS[tone] for tone in tones}) == len(set(WORDS.values())) == len(tones)
    assert set(heat_map(report).tones) <= tones


def test_the_table_for_other_formats_writes_mark_and_word(report: ReportData) -> None:
    cells = [cell.text for row in heat_table(report).rows for cell in row.cells[1:]]
    assert any(text.startswith("✕ forgotten −") for text in cells)
    assert any(text == "= the parent itself" for text in cells)


@pytest.mark.parametrize("label", ["general", "linear 0.5", "linear 0.5, 16 shots"])
def test_every_model_has_a_row(report: ReportData, label: str) -> None:
    assert label in dict(heat_map(report).rows)


def _with_many_tasks(report: ReportData) -> ReportData:
    """The same report with eight more tasks of multiple choice."""
    found, key = report.comparison, ("clinic_mcq", "accuracy")
    names = [f"quiz_{k}" for k in range(8)]
    scores = [replace(s, task=name) for name in names for s in found.scores if (s.task, s.metric) == key]
    contrasts = [replace(c, task=name) for name in names for c in found.contrasts if (c.task, c.metric) == key]
    wider = replace(found, scores=(*found.scores, *scores), contrasts=(*found.contrasts, *contrasts))
    return replace(report, comparison=wider, task_axes={**report.task_axes, **dict.fromkeys(names, "medical")})


def test_many_measures_run_down_the_page_with_the_same_cells(report: ReportData) -> None:
    found = heat_map(_with_many_tasks(report))
    assert found.down
    assert not heat_map(report).down
    lines = found.lines()
    assert [name for name, _, _ in lines] == [name for name, _ in found.columns]
    assert lines[3][2] == tuple(cells[3] for _, cells in found.rows)
    table = heat_table(_with_many_tasks(report))
    assert table.columns == ("measure", *report.comparison.models)
    assert len(table.rows) == len(found.columns)
    page = render_report(_with_many_tasks(report))
    assert '<table class="heat down">' in page
    assert page.count('<th scope="row">accuracy on quiz') == 8


def test_facts_stand_beside_rouge_where_it_is_not_judged(report: ReportData) -> None:
    found = report.comparison
    scores = tuple(s for s in found.scores if s.task != "clinic_summary" or s.metric in ("rougeL", "fact_fabrication"))
    bare = replace(report, comparison=replace(found, axes=(), margins=(), scores=scores))
    names = [name for name, _ in heat_map(bare).columns]
    where = names.index("ROUGE-L on clinic summaries")
    assert names[where + 1] == "made-up facts on clinic summaries (an answer)"


def test_measures_without_a_margin_stand_by_axis(report: ReportData) -> None:
    bare = replace(report, comparison=replace(report.comparison, axes=(), margins=()))
    names = [name for name, _ in heat_map(bare).columns]
    assert names[0] == "instruction contrast (nats)"
    assert names.index("prompts passed, strict on IFEval (%)") < names.index("accuracy on record questions (%)")
