"""The divisions of a note: hand-made notes against what the published section tagger gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.evaluate.scoring.divisions import DIVISIONS, are_notes, cut, prepare, written

NOTE = (
    "CHIEF COMPLAINT\n\nCough.\n\nPHYSICAL EXAM\n\nLungs clear.\n\nRESULTS\n\nX-ray normal.\n\n"
    "ASSESSMENT AND PLAN\n\nCold."
)


def test_a_note_with_all_four() -> None:
    assert cut(NOTE) == {
        "subjective": "CHIEF COMPLAINT\n\nCough.\n\n",
        "objective_exam": "PHYSICAL EXAM\n\nLungs clear.\n\n",
        "objective_results": "RESULTS\n\nX-ray normal.\n\n",
        "assessment_and_plan": "ASSESSMENT AND PLAN\n\nCold.",
    }


@pytest.mark.parametrize(
    ("line", "division"),
    [
        ("CC: cough", "subjective"),
        ("cc cough", ""),  # needs its colon
        ("  chief   complaint", "subjective"),
        ("HISTORYOFPRESENTILLNESS", "subjective"),  # a blank may be none
        ("hpi notes", "subjective"),
        ("History", "subjective"),  # alone on its line it needs no colon
        ("History is unknown", ""),
        ("Review of systems:", "subjective"),
        ("Social history: smokes", "subjective"),
        ("Exam: clear", "objective_exam"),
        ("Exam clear", ""),
        ("VITALS REVIEWED today", "objective_exam"),
        ("Results show nothing", "objective_results"),
        ("findings", "objective_results"),
        ("A: cold", "assessment_and_plan"),
        ("A / P : cold", "assessment_and_plan"),
        ("a/p: cold", "assessment_and_plan"),
        ("Plan of care: rest", "assessment_and_plan"),
        ("IMPRESSION", "assessment_and_plan"),
        ("Impression", ""),
        ("the plan: rest", ""),
    ],
)
def test_headings(line: str, division: str) -> None:
    found = cut(f"before\n{line}\nafter")
    assert list(found) == (["subjective", division] if division not in ("", "subjective") else ["subjective"])


def test_what_stands_before_any_heading_is_subjective_and_a_second_section_of_a_kind_opens_nothing() -> None:
    found = cut("Cough.\nPLAN:\nrest\nEXAM:\nclear\nPLAN:\nmore")
    assert found == {
        "subjective": "Cough.\n",
        "assessment_and_plan": "PLAN:\nrest\n",
        "objective_exam": "EXAM:\nclear\nPLAN:\nmore",
    }


def test_line_breaks_are_written_as_a_word_and_absent_divisions_as_one() -> None:
    assert prepare([NOTE, "Cough."], "objective_exam") == [
        "PHYSICAL EXAM__lf1____lf1__Lungs clear.__lf1____lf1__",
        "#####EMPTY#####",
    ]
    assert prepare([NOTE.replace("\n", "__lf1__")], "objective_exam") == prepare([NOTE], "objective_exam")


def test_a_division_that_no_note_has_is_no_text() -> None:
    assert prepare(["Cough.", "Fever."], "objective_exam") == ["", ""]
    assert written([None, ""]) == ["#####EMPTY#####", ""]


def test_notes_are_known_by_having_two_divisions() -> None:
    assert are_notes(["Cough.", NOTE])
    assert not are_notes(["Cough.", "RESULTS\nnormal"])


@given(
    st.lists(st.sampled_from(["EXAM:", "RESULTS", "PLAN:", "CC:", "text", "", "IMPRESSION"]), min_size=1, max_size=12)
)
def test_divisions_partition_a_note(lines: list[str]) -> None:
    note = "\n".join(lines)
    found = cut(note)
    assert "".join(found.values()) == note
    assert set(found) <= set(DIVISIONS)
