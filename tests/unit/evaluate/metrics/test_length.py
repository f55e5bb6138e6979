"""Words and repetition by hand."""

from __future__ import annotations

import math

from suture.evaluate.metrics import length


def test_repetition_counts_four_grams_that_stood_before() -> None:
    assert length.scores("a b c d A B C D") == {"words": 8.0, "repetition": 1 - 4 / 5}


def test_a_plain_sentence_repeats_nothing() -> None:
    assert length.scores("no fever and no cough today") == {"words": 6.0, "repetition": 0.0}


def test_repetition_of_few_words_is_not_scored() -> None:
    found = length.scores("no acute disease")
    assert found["words"] == 3.0
    assert math.isnan(found["repetition"])
