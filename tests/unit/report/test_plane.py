"""The plane opens on the judged measures and names its front, also where no margin was stated."""

from __future__ import annotations

from dataclasses import replace

from suture.report.bare import primary_of
from suture.report.data import ReportData
from suture.report.plane import front_of, front_sentence, fronts, opening, plane_keys

CONTRAST, RECALL = ("contrast", "contrast"), ("clinic_summary", "fact_recall")


def test_it_opens_on_instruction_and_clinical(report: ReportData) -> None:
    assert opening(report) == (CONTRAST, ("clinic_likelihood", "log_likelihood"))


def test_the_front_holds_what_no_model_beats(report: ReportData) -> None:
    found = front_of(report, CONTRAST, RECALL)
    values = {
        label: tuple(report.comparison.score(label, *key).value for key in (CONTRAST, RECALL))  # type: ignore[union-attr]
        for label in report.comparison.models
    }
    for label, (x, y) in values.items():
        beaten = any(a >= x and b >= y and (a, b) != (x, y) for a, b in values.values())
        assert (label in found) is not beaten
    key = "|".join(sorted(["/".join(CONTRAST), "/".join(RECALL)]))
    assert fronts(report)[key] == list(found)


def test_side_effects_and_drift_span_no_plane(report: ReportData) -> None:
    assert not {"words", "repetition", "kl_to_general"} & {metric for _, metric in plane_keys(report)}


def test_without_margins_two_tasks_span_it_and_with_one_measure_nothing_does(report: ReportData) -> None:
    bare = replace(report, comparison=replace(report.comparison, axes=()))
    pair = opening(bare)
    assert pair is not None
    assert pair == (CONTRAST, ("clinic_likelihood", "log_likelihood"))  # primary metrics of the axes
    scores = tuple(s for s in report.comparison.scores if (s.task, s.metric) == CONTRAST)
    alone = replace(bare, comparison=replace(bare.comparison, scores=scores))
    assert opening(alone) is None
    assert front_sentence(alone) == ""


def test_a_primary_metric_goes_before_the_first_of_a_task(report: ReportData) -> None:
    kept = [s for s in report.comparison.scores if s.task in ("ifeval", "clinic_summary")]
    loose = [replace(s, metric="prompt_level_loose") for s in kept if s.metric == "prompt_level_strict"]
    alone = replace(report.comparison, axes=(), scores=(*loose, *kept))
    assert opening(replace(report, comparison=alone)) == (
        ("ifeval", "prompt_level_strict"),
        ("clinic_summary", primary_of("clinic_summary")),
    )
