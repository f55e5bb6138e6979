"""BLEU against a number computed by hand."""

from __future__ import annotations

import math

import pytest

from suture.evaluate.metrics import bleu


def test_one_sentence_by_hand() -> None:
    # precisions 3/4, 2/3, 1/2 and, smoothed exponentially, (1/2)/1; no brevity penalty
    assert bleu.score("a b c d", "a b c e") == pytest.approx(100 * (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25)


def test_a_short_equal_answer_is_perfect_by_effective_order() -> None:
    assert bleu.score("no fever", "no fever") == pytest.approx(100.0)


def test_an_empty_answer_scores_nothing() -> None:
    assert bleu.score("", "no fever") == 0.0


def test_the_signature_is_sacrebleus() -> None:
    assert bleu.signature().startswith(
        "sacrebleu, sentence-level, nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:"
    )


def test_plain_bleu_does_not_smooth(caplog: pytest.LogCaptureFixture) -> None:
    assert bleu.score("a b c d", "a b c e", plain=True) == 0.0  # no common 4-gram
    assert bleu.score("no fever", "no fever", plain=True) == 0.0  # too short for one
    assert bleu.score("a b c d e", "a b c d f", plain=True) == pytest.approx(
        100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    )
    assert bleu.score("a b c d", "a b c d e", plain=True) == pytest.approx(100 * math.exp(1 - 5 / 4))
    assert bleu.score("", "a", plain=True) == 0.0
    assert "eff:no|tok:13a|smooth:none" in bleu.signature(plain=True)
    assert not caplog.records
