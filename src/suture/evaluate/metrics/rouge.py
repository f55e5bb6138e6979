"""ROUGE-1, -2, -L and -Lsum, F1 in [0, 100], by Google's rouge_score.

Lin 2004, "ROUGE: A package for automatic evaluation of summaries". Deviation: none; the settings are in the signature,
for they move a score more than a model does. Lsum needs sentences: either NLTK's punkt finds them, or every line is one
(as in the published evaluations, which call rouge_score without splitting).
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from suture.evaluate.packaged import punkt

NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
Sentences = Literal["punkt", "lines"]
_SPLITS = {"punkt": "nltk punkt_tab", "lines": "lines"}


def signature(sentences: Sentences = "punkt") -> str:
    """Return library, version and settings."""
    return f"rouge_score {version('rouge-score')}, F1 x 100, use_stemmer=False, Lsum sentences: {_SPLITS[sentences]}"


def scores(response: str, reference: str, sentences: Sentences = "punkt") -> dict[str, float]:
    """Return the four scores, each in [0, 100]; 0 for an empty response."""
    found = _scorer(sentences).score(reference, response)
    return {name: 100.0 * float(found[name].fmeasure) for name in NAMES}


@cache
def _scorer(sentences: Sentences) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    if sentences == "punkt":
        punkt()
    return RougeScorer(list(NAMES), use_stemmer=False, split_summaries=sentences == "punkt")
