"""BLEU of one answer, in [0, 100], by sacreBLEU.

Papineni et al. 2002; Post 2018. Deviation: a sentence-level score with effective order (n-gram orders longer than the
answer are left out), since each item keeps its own; the mean over items is not the corpus BLEU.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def signature() -> str:
    """Return sacreBLEU's own signature, marked as sentence-level."""
    _scorer().sentence_score("a", ["a"])  # the signature knows the number of references after a first score
    return f"sacrebleu, sentence-level, {_scorer().get_signature()}"


def score(response: str, reference: str) -> float:
    """Return the score in [0, 100]; 0 for an empty response."""
    return float(_scorer().sentence_score(response, [reference]).score)


@cache
def _scorer() -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=True)
