"""METEOR against numbers computed by hand."""

from __future__ import annotations

import pytest

from suture.evaluate.metrics import meteor


def test_an_equal_answer_pays_for_its_one_chunk() -> None:
    assert meteor.score("the cat sat", "the cat sat") == pytest.approx(100 * (1 - 0.5 * (1 / 3) ** 3))


def test_synonyms_come_from_wordnet() -> None:
    assert meteor.score("auto", "car") == pytest.approx(50.0)  # one match, one chunk: 1 - 0.5


def test_synonyms_are_looked_up_by_stems_as_nltk_does() -> None:
    assert meteor.score("automobile", "car") == 0.0


def test_stems_match() -> None:
    assert meteor.score("effusions", "effusion") == pytest.approx(50.0)


def test_precision_and_recall_by_hand() -> None:
    # two matches in one chunk; precision 2/2, recall 2/4; F = P R / (0.9 P + 0.1 R); penalty 0.5 (1/2)^3
    f = 1.0 * 0.5 / (0.9 * 1.0 + 0.1 * 0.5)
    assert meteor.score("zzq xxq", "zzq xxq yyq wwq") == pytest.approx(100 * f * (1 - 0.5 / 8))


def test_an_empty_answer_scores_nothing() -> None:
    assert meteor.score("", "no fever") == 0.0
