"""ROUGE against numbers computed by hand."""

from __future__ import annotations

import pytest

from suture.evaluate.metrics import rouge


def test_the_four_scores_by_hand() -> None:
    found = rouge.scores("the cat sat", "the cat ran home")
    assert found["rouge1"] == pytest.approx(100 * 4 / 7)  # precision 2/3, recall 2/4
    assert found["rouge2"] == pytest.approx(40.0)  # precision 1/2, recall 1/3
    assert found["rougeL"] == pytest.approx(100 * 4 / 7)


def test_lsum_splits_sentences_where_l_does_not() -> None:
    found = rouge.scores("The lungs are clear. No acute disease.", "No acute disease. The lungs are clear.")
    assert found["rougeL"] == pytest.approx(100 * 4 / 7)  # longest common subsequence: four of seven words
    assert found["rougeLsum"] == pytest.approx(100.0)


def test_words_are_not_stemmed() -> None:
    assert rouge.scores("effusions", "effusion")["rouge1"] == 0.0


def test_an_empty_answer_scores_nothing() -> None:
    assert set(rouge.scores("", "no fever").values()) == {0.0}


def test_the_signature_states_the_settings() -> None:
    assert "use_stemmer=False" in rouge.signature()


def test_lines_as_sentences() -> None:
    answer, reference = "The lungs are clear. No acute disease.", "No acute disease. The lungs are clear."
    assert rouge.scores(answer, reference, "lines")["rougeLsum"] == pytest.approx(100 * 4 / 7)
    broken = rouge.scores(answer.replace(". ", ".\n"), reference.replace(". ", ".\n"), "lines")
    assert broken["rougeLsum"] == pytest.approx(100.0)
    assert broken["rougeL"] == pytest.approx(100 * 4 / 7)
    assert rouge.signature("lines").endswith("Lsum sentences: lines")
