"""An ACI-BENCH note cut into its divisions, by the rules of the authors' tagger."""

from __future__ import annotations

from suture.data.readers.divisions import divide

NOTE = """CHIEF COMPLAINT

Cough.

REVIEW OF SYSTEMS

Denies fever.

PHYSICAL EXAM

Lungs: clear.

RESULTS

X-ray: normal. Impression: clear.

ASSESSMENT AND PLAN

Rest."""


def test_each_division_runs_to_the_next_ones_first_header() -> None:
    found = divide(NOTE)
    assert list(found) == ["subjective", "objective_exam", "objective_results", "assessment_and_plan"]
    assert found["subjective"] == "CHIEF COMPLAINT\n\nCough.\n\nREVIEW OF SYSTEMS\n\nDenies fever."
    assert found["objective_results"].endswith("Impression: clear.")
    assert found["assessment_and_plan"] == "ASSESSMENT AND PLAN\n\nRest."


def test_a_note_without_a_header_at_its_start_begins_as_subjective() -> None:
    assert divide("A cough.\nEXAM :\nClear.") == {"subjective": "A cough.", "objective_exam": "EXAM :\nClear."}


def test_a_later_header_of_a_division_that_was_seen_stays_where_it_stands() -> None:
    found = divide("HPI\nCough.\nPLAN :\nRest.\nHISTORY :\nLate.")
    assert found == {"subjective": "HPI\nCough.", "assessment_and_plan": "PLAN :\nRest.\nHISTORY :\nLate."}


def test_a_header_that_wants_a_colon_must_have_it_or_stand_alone() -> None:
    assert list(divide("CC: cough\nplanned visit\nfindings of note")) == ["subjective"]
    assert list(divide("CC: cough\nfindings\nclear")) == ["subjective", "objective_results"]


def test_impression_in_capitals_is_an_assessment_and_in_lower_case_part_of_results() -> None:
    assert list(divide("cc: x\nresults\nok\nIMPRESSION\nwell")) == [
        "subjective",
        "objective_results",
        "assessment_and_plan",
    ]
    assert list(divide("cc: x\nresults\nok\nimpression: well")) == ["subjective", "objective_results"]
