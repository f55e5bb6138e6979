"""Of many tasks an overview shows each one's primary metric and those with a margin, and says how many it leaves."""

from __future__ import annotations

from dataclasses import replace

from suture.report.data import ReportData
from suture.report.overview import chosen_measures, is_broad, overview_tables, rest_line

CHOSEN = [
    ("contrast", "contrast"),
    ("ifeval", "prompt_level_strict"),
    ("clinic_mcq", "accuracy"),
    ("clinic_likelihood", "log_likelihood"),
    ("clinic_summary", "fact_recall"),  # it has a margin
    ("clinic_summary", "fact_fabrication"),  # it stands beside ROUGE
    ("clinic_summary", "rougeL"),  # it is primary
]


def _without(report: ReportData, *tasks: str) -> ReportData:
    found = report.comparison
    scores = tuple(score for score in found.scores if score.task not in tasks)
    return replace(report, comparison=replace(found, scores=scores))


def test_primary_metrics_and_those_with_a_margin_are_chosen_by_axis(report: ReportData) -> None:
    assert chosen_measures(report) == CHOSEN
    assert rest_line(report).startswith("4 more measures")


def test_a_task_that_is_not_known_is_shown_by_its_first_metric(report: ReportData) -> None:
    found = report.comparison
    own = [
        replace(score, task="own")
        for score in found.scores
        if score.task == "clinic_summary" and score.metric in ("words", "fact_fabrication")
    ]
    wider = replace(report, comparison=replace(found, scores=(*found.scores, *own)))
    assert chosen_measures(wider) == [*CHOSEN, ("own", own[0].metric)]


def test_it_begins_beyond_four_tasks(report: ReportData) -> None:
    assert is_broad(report)
    assert is_broad(_without(report, "drift"))
    assert not is_broad(_without(report, "drift", "ifeval"))


def test_scores_stand_beside_the_best_floor_and_differences_beside_their_verdict(report: ReportData) -> None:
    found = report.comparison
    chance = next(score for score in found.scores if (score.task, score.metric) == ("clinic_mcq", "accuracy"))
    scores, *differences = overview_tables(replace(report, floors=(replace(chance, model="chance", value=0.25),)))
    assert len(differences) == len(found.against)
    assert all(len(table.rows) == len(CHOSEN) for table in (scores, *differences))
    accuracy = scores.rows[2].cells
    score = found.score("general", "clinic_mcq", "accuracy")
    assert score is not None
    assert accuracy[0].text == "accuracy on record questions (%)"
    assert accuracy[scores.columns.index("general")].text == f"{100 * score.value:.1f}"
    assert accuracy[-1].text == "25.0 chance"
    table = next(table for table in differences if table.title.endswith("general"))
    assert "general" not in table.columns
    contrast = found.contrast("clinical", "general", "contrast", "contrast")
    assert contrast is not None
    cell = table.rows[0].cells[table.columns.index("clinical")]
    assert contrast.verdict == cell.details[-1] == "forgotten"
    plain = table.rows[1].cells[table.columns.index("clinical")]  # IFEval has no margin here
    assert plain.tone == ""
    assert plain.details[-1].startswith("±")


def test_the_repaired_score_of_a_chosen_metric_stands_below_it(report: ReportData) -> None:
    found = report.comparison
    levels = ("prompt_level_strict", "inst_level_loose")
    twins = [
        replace(score, metric=f"{level}_repaired")
        for level in levels
        for score in found.scores
        if (score.task, score.metric) == ("ifeval", "prompt_level_strict")
    ]
    chosen = chosen_measures(replace(report, comparison=replace(found, scores=(*found.scores, *twins))))
    where = chosen.index(("ifeval", "prompt_level_strict"))
    assert chosen[where + 1] == ("ifeval", "prompt_level_strict_repaired")
    assert ("ifeval", "inst_level_loose_repaired") not in chosen
