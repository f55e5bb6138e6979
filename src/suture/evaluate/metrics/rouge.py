"""ROUGE-1, -2, -L and -Lsum, F1 in [0, 100], by Google's rouge_score.

Lin 2004, "ROUGE: A package for automatic evaluation of summaries". Deviation: none; the settings are in the signature,
for they move a score more than a model does. Lsum splits sentences by NLTK's punkt, so it does not need line breaks.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from suture.evaluate.packaged import punkt

NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def signature() -> str:
    """Return library, version and settings."""
    return f"rouge_score {version('rouge-score')}, F1 x 100, use_stemmer=False, Lsum sentences: nltk punkt_tab"


def scores(response: str, reference: str) -> dict[str, float]:
    """Return the four scores, each in [0, 100]; 0 for an empty response."""
    found = _scorer().score(reference, response)
    return {name: 100.0 * float(found[name].fmeasure) for name in NAMES}


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    punkt()
    return RougeScorer(list(NAMES), use_stemmer=False, split_summaries=True)
