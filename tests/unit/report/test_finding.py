"""The sentence of the finding follows the verdicts, whatever they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suture.compare.verdicts import Contrast, Verdict
from suture.report.data import ReportData
from suture.report.finding import at_stake, better_parent, findings, headline, listed, what_was_merged

MODEL = "linear 0.5"


def judged(report: ReportData, verdicts: dict[str, Verdict]) -> ReportData:
    """The report with the verdict of every contrast replaced, by task; contrasts of other tasks are dropped."""
    found: list[Contrast] = [
        replace(contrast, verdict=verdicts[contrast.task])
        for contrast in report.comparison.contrasts
        if contrast.task in verdicts
    ]
    return replace(report, comparison=replace(report.comparison, contrasts=tuple(found)))


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("kept", "keeps the general parent's instruction contrast."),
        ("forgotten", "forgets the general parent's instruction contrast."),
        ("not established at this n", "leaves open the general parent's instruction contrast at this n."),
        ("no headroom", "has no headroom to be judged on the general parent's instruction contrast."),
    ],
)
def test_one_verdict_makes_one_clause(report: ReportData, verdict: Verdict, words: str) -> None:
    found = headline(judged(report, {"contrast": verdict}))
    assert found is not None
    assert found.sentence == f"At a = 0.5 the merge {words}"


def test_kept_forgotten_and_open_stand_in_that_order(report: ReportData) -> None:
    verdicts: dict[str, Verdict] = {
        "contrast": "forgotten", "clinic_mcq": "not established at this n",
        "clinic_likelihood": "kept", "clinic_summary": "kept",
    }  # fmt: skip
    found = headline(judged(report, verdicts))
    assert found is not None
    assert found.sentence == (
        "At a = 0.5 the merge keeps the clinical parent's log-likelihood of held-out notes and fact recall on clinic "
        "summaries, forgets the general parent's instruction contrast, and leaves open the clinical parent's accuracy "
        "on record questions at this n."
    )


def test_each_axis_is_asked_of_the_better_parent(report: ReportData) -> None:
    assert better_parent(report, "contrast", "contrast") == "general"
    assert better_parent(report, "clinic_likelihood", "log_likelihood") == "clinical"
    assert better_parent(report, "clinic_summary", "fact_fabrication") == "general"  # less is better
    assert [contrast.against for contrast in at_stake(report, MODEL)] == ["general", "clinical", "clinical", "clinical"]


def test_a_parent_is_judged_on_what_the_other_does_better(report: ReportData) -> None:
    found = {finding.model: finding for finding in findings(report)}
    assert (
        found["clinical"].sentence
        == "At a = 1 the clinical parent itself forgets the general parent's instruction contrast."
    )


def test_the_ancestor_had_nothing_to_forget(report: ReportData) -> None:
    assert "ancestor" not in {finding.model for finding in findings(report)}


def test_a_gate_that_was_not_accepted_has_no_headline(report: ReportData) -> None:
    assert headline(replace(report, gate=replace(report.gate, accepted=False))) is None


def test_without_verdicts_there_is_no_finding(report: ReportData) -> None:
    assert findings(judged(report, {})) == ()
    assert headline(judged(report, {})) is None


def test_a_merge_off_the_path_is_named(report: ReportData) -> None:
    sentences = [finding.sentence for finding in findings(report)]
    assert any(sentence.startswith("The merge task arithmetic ") for sentence in sentences)
    assert any(sentence.startswith("linear 0.5, 16 shots ") for sentence in sentences)


def test_what_was_merged_names_parents_merges_and_adapted(report: ReportData) -> None:
    assert what_was_merged(report) == (
        "Merged: general (supervised) and clinical (continued pre-training), as linear 0.25, linear 0.5, linear 0.75 "
        "and task arithmetic; adapted: general, 16 shots, linear 0.5, 16 shots."
    )


def test_words_are_joined_as_in_a_sentence() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"], ", and ") == "a, b, and c"
