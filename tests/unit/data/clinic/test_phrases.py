from random import Random

import pytest

from suture.data.clinic.phrases import article, listed, negated, sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [("knee pain", "Knee pain."), ("MRI done.", "MRI done."), ("5 mm stone", "5 mm stone.")],
)
def test_sentence_has_a_capital_and_one_stop(text: str, expected: str):
    assert sentence(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("80-year-old", "an 80-year-old"), ("18-year-old", "an 18-year-old"), ("54-year-old", "a 54-year-old")],
)
def test_article_follows_the_spoken_number(text: str, expected: str):
    assert article(text) == expected


def test_listed_joins_with_its_word():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"], "or") == "a or b"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_negated_reaches_every_finding_both_ways():
    assert {negated(["fever", "cough"], Random(seed)) for seed in range(20)} == {
        "no fever, no cough",
        "no fever or cough",
    }
