"""Facts found, missed and made up, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from suture.evaluate.metrics.facts import Vocabulary, claims, scores, vocabulary

RECORD: dict[str, Any] = {
    "diagnosis": "left knee osteoarthritis",
    "drugs": [{"drug": "naproxen", "dose": "500", "unit": "mg", "frequency": "twice daily"}],
    "laterality": [{"site": "knee", "side": "left"}],
    "present": ["pain with stairs"],
    "negated": ["fever", "locking"],
    "follow_up": "6 weeks",
}
OTHER: dict[str, Any] = {
    "drugs": [{"drug": "prednisone", "dose": "20", "unit": "mg", "frequency": "once daily"}],
    "laterality": [{"site": "shoulder", "side": "right"}],
    "present": ["chest pain", "pain"],
    "negated": [],
    "follow_up": "2 weeks",
}
WORDS = vocabulary([RECORD, OTHER])
SOURCE = "Doctor: My left knee hurts.\nPatient: Any fever or locking?\nPatient: No."


def test_the_vocabulary_is_that_of_all_records_longest_first() -> None:
    assert (
        Vocabulary(
            drugs=("prednisone", "naproxen"),
            sites=("shoulder", "knee"),
            findings=("pain with stairs", "chest pain", "locking", "fever", "pain"),
        )
        == WORDS
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Start naproxen 500 mg.", {("drug", "naproxen"), ("dose", "naproxen", "500", "mg")}),
        ("Start 500mg of Naproxen.", {("drug", "naproxen"), ("dose", "naproxen", "500", "mg")}),
        (
            "Naproxen 250 mg, then prednisone 7.5 mg.",
            {
                ("drug", "naproxen"),
                ("drug", "prednisone"),
                ("dose", "naproxen", "250", "mg"),
                ("dose", "prednisone", "7.5", "mg"),
            },
        ),
        ("Weight 80 kg, 500 mg.", set()),
        ("Left knee swelling.", {("side", "knee", "left")}),
        ("Swelling of the knee on the right.", {("side", "knee", "right")}),
        ("Left knee and right shoulder.", {("side", "knee", "left"), ("side", "shoulder", "right")}),
        ("The knee.", set()),
        (
            "Denies fever, locking or chest pain.",
            {("negated", "fever"), ("negated", "locking"), ("negated", "chest pain")},
        ),
        ("No fever but locking.", {("negated", "fever"), ("present", "locking")}),
        ("No fever. Locking.", {("negated", "fever"), ("present", "locking")}),
        ("Any fever? Locking.", {("present", "locking")}),
        ("Pain with stairs.", {("present", "pain with stairs")}),
        ("Follow up in six weeks.", {("follow_up", "6 week")}),
        ("Return in 10 days.", {("follow_up", "10 day")}),
        ("Knee sore for 6 weeks.", set()),
    ],
)
def test_claims(text: str, expected: set[tuple[str, ...]]) -> None:
    assert claims(text, WORDS) == expected


def test_a_full_answer_recalls_all_and_makes_up_nothing() -> None:
    answer = "Left knee, pain with stairs, no fever, no locking. Start naproxen 500 mg. Follow up in 6 weeks."
    assert scores(answer, RECORD, SOURCE, WORDS) == {"fact_recall": 1.0, "fact_fabrication": 0.0}


def test_recall_counts_drug_dose_side_negations_and_follow_up() -> None:
    answer = "Start naproxen 250 mg for the left knee. No fever."
    # found: drug, side, one of two negations; missed: dose, locking, follow-up
    assert scores(answer, RECORD, SOURCE, WORDS) == {"fact_recall": 3 / 6, "fact_fabrication": 1.0}


@pytest.mark.parametrize(
    ("answer", "made_up"),
    [
        ("Prednisone.", 1),
        ("Prednisone 20 mg.", 2),
        ("Naproxen 500 mcg.", 1),
        ("Right knee.", 1),
        ("Follow up in 2 weeks.", 1),
        ("Fever.", 1),  # negated in the record
        ("Chest pain.", 1),  # nowhere
        ("No chest pain.", 0),
        ("", 0),
    ],
)
def test_what_counts_as_made_up(answer: str, made_up: int) -> None:
    assert scores(answer, RECORD, SOURCE, WORDS)["fact_fabrication"] == made_up


def test_what_the_input_states_is_not_made_up() -> None:
    source = SOURCE + "\nDoctor: You took prednisone 20 mg for chest pain. Come back in 2 weeks."
    answer = "Prednisone 20 mg, chest pain. Follow up in 2 weeks."
    assert scores(answer, RECORD, source, WORDS)["fact_fabrication"] == 0.0


def test_a_record_without_facts_is_not_scored() -> None:
    assert all(math.isnan(value) for value in scores("Prednisone.", {}, "", WORDS).values())
