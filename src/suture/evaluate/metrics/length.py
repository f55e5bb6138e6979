"""Length of an answer in words, and how much of it repeats itself: the usual side effects of merging.

Repetition is the share of an answer's word 4-grams that have stood in it before (seq-rep-4 of Welleck et al. 2020,
arXiv:1908.04319, section 6, over words instead of tokens).
"""

from __future__ import annotations

ORDER = 4


def signature() -> str:
    """Return the settings."""
    return f"words split at white space; repetition: 1 - distinct / all word {ORDER}-grams, lower case"


def scores(response: str) -> dict[str, float]:
    """Return words (a count) and repetition in [0, 1], NaN for an answer of fewer than four words."""
    words = response.lower().split()
    grams = [tuple(words[i : i + ORDER]) for i in range(len(words) - ORDER + 1)]
    repetition = 1 - len(set(grams)) / len(grams) if grams else float("nan")
    return {"words": float(len(words)), "repetition": repetition}
