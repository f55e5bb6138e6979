"""METEOR in [0, 100] by NLTK, with WordNet 3.0 out of the package `wn`.

Banerjee and Lavie 2005. Deviation: NLTK's implementation (alpha 0.9, beta 3, gamma 0.5, Porter stems, synonyms of
WordNet 3.0), which differs from the Java original: it looks synonyms up by stems, so that a word whose stem is no word
("automobil") finds none. Words by NLTK's word_tokenize.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import version
from typing import Any

from suture.evaluate.packaged import punkt, wordnet


def signature() -> str:
    """Return library, version and settings."""
    settings = f"alpha 0.9, beta 3, gamma 0.5, WordNet 3.0 (wn {version('wn')}), word_tokenize"
    return f"nltk {version('nltk')} meteor_score x 100, {settings}"


def score(response: str, reference: str) -> float:
    """Return the score in [0, 100]; 0 for an empty response."""
    from nltk.tokenize import word_tokenize
    from nltk.translate.meteor_score import meteor_score

    punkt()
    return 100.0 * float(meteor_score([word_tokenize(reference)], word_tokenize(response), wordnet=english()))


@cache
def english() -> Any:
    """Return NLTK's reader of the English WordNet 3.0."""
    from nltk.corpus.reader import WordNetCorpusReader

    class English(WordNetCorpusReader):  # type: ignore[misc]
        """Without the mapping for other languages, for which NLTK would want a second copy."""

        def map_wn(self, version: str = "wordnet") -> None:
            return None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the other languages are missing
        return English(str(wordnet()), omw_reader=None)
