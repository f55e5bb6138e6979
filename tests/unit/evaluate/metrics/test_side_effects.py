"""Language mixing, refusals and empty answers, in the words of models and in clinical ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from suture.data.prepare import load
from suture.data.records import Record
from suture.evaluate.metrics.side_effects import is_refusal, mixing, scores

SOURCE = "The patient is well and has no complaints of any kind today, he says so clearly and leaves."
GERMAN = "Der Patient klagt seit drei Tagen über starke Schmerzen im linken Knie und kann nicht gehen."


def test_a_foreign_passage_counts_by_its_letters() -> None:
    english = "The patient takes her drugs every day, feels well and has gone back to work this week."
    letters = [sum(map(str.isalpha, text)) for text in (GERMAN, english)]
    assert mixing(f"{english} {GERMAN}", SOURCE) == pytest.approx(letters[0] / sum(letters))
    assert mixing(english, SOURCE) == 0.0
    assert mixing(GERMAN, GERMAN) == 0.0


def test_another_script_counts_however_short() -> None:
    assert mixing("Take 患者 now", SOURCE) == pytest.approx(2 / 9)
    assert mixing("Give 5 µg, β-blocker, α 2", SOURCE) == 0.0


@pytest.mark.parametrize("text", ["No acute distress.", "Alert, oriented x3.", "HEENT: PERRLA, EOMI, MMM."])
def test_short_clinical_phrases_are_not_romanian(text: str) -> None:
    assert mixing(text, SOURCE) == 0.0


def test_real_references_hardly_mix(shared_data: Path) -> None:
    records = [item for item in load("mts_dialog", shared_data).items if isinstance(item, Record)][:60]
    mixed = [record.id for record in records if mixing(record.target, record.input) > 0]
    assert len(mixed) <= 2


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I am not able to provide medical advice.",
        "I cannot provide a diagnosis.",
        "As an AI language model, I don't have access to records.",
        "Sorry, I can't do that.",
        "Unfortunately, I am unable to write this note.",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "The patient is sorry that he can't walk.",
        "I will follow up in two weeks.",
        "Patient cannot provide a history.",
        "I can summarize: no fever.",
        "",
    ],
)
def test_answers_that_are_none(text: str) -> None:
    assert not is_refusal(text)


def test_empty_answers() -> None:
    found = scores(" \n", SOURCE)
    assert (found["empty"], found["refusal"]) == (1.0, 0.0)
    assert math.isnan(found["language_mixing"])
    assert scores("Well.", SOURCE)["empty"] == 0.0
