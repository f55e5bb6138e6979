"""METEOR in [0, 100] by NLTK, with WordNet 3.0 out of the package `wn`.

Banerjee and Lavie 2005. Deviation: NLTK's implementation (alpha 0.9, beta 3, gamma 0.5, Porter stems, synonyms of
WordNet 3.0), which differs from the Java original; words by NLTK's word_tokenize.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from suture.evaluate.packaged import punkt, wordnet


def signature() -> str:
    """Return library, version and settings."""
    return f"nltk {version('nltk')} meteor_score, alpha 0.9, beta 3, gamma 0.5, WordNet 3.0 (wn {version('wn')}), word_tokenize"


def score(response: str, reference: str) -> float:
    """Return the score in [0, 100]; 0 for an empty response."""
    from nltk.tokenize import word_tokenize
    from nltk.translate.meteor_score import meteor_score

    punkt()
    return 100.0 * float(meteor_score([word_tokenize(reference)], word_tokenize(response), wordnet=_wordnet()))


@cache
def _wordnet() -> Any:
    from nltk.corpus.reader import WordNetCorpusReader

    return WordNetCorpusReader(str(wordnet()), omw_reader=None)
