"""BLEU of one answer, in [0, 100], by sacreBLEU.

Papineni et al. 2002; Post 2018. Deviation: a sentence-level score, since each item keeps its own; the mean over items
is not the corpus BLEU. Smoothed: exponential smoothing and effective order (n-gram orders longer than the answer are
left out). Plain: neither, so that an answer without a common 4-gram scores 0; that is what `evaluate.load("bleu")`
gives for one pair, with which the published means over items were made.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def signature(*, plain: bool = False) -> str:
    """Return sacreBLEU's own signature, marked as sentence-level."""
    _scorer(plain).corpus_score(["a"], [["a"]])  # the signature knows the number of references after a first score
    return f"sacrebleu, sentence-level, {_scorer(plain).get_signature()}"


def score(response: str, reference: str, *, plain: bool = False) -> float:
    """Return the score in [0, 100]; 0 for an empty response."""
    return float(_scorer(plain).corpus_score([response], [[reference]]).score)  # of one: sentence_score would warn


@cache
def _scorer(plain: bool) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(smooth_method="none", effective_order=False) if plain else BLEU(effective_order=True)
