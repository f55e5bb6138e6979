"""Side effects of merging in one answer: another language inside it, a refusal, no answer at all.

language_mixing is the share of the answer's letters that stand in passages of another language than the input's: a
passage is at least 60 letters long, and its language is believed where langdetect (seeded with 0) gives it 0.99 or
more; shorter answers and passages count as the input's own, since "No acute distress." reads as Romanian 90 times in
100. Letters of a script that the input does not use always count as another language.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.metadata import version

NAMES = ("language_mixing", "refusal", "empty")
LETTERS, BELIEF = 60, 0.99
_REFUSAL = re.compile(
    r"^\W*(?:(?:i'?m|i am) (?:so |very |really )?(?:sorry|afraid)\b.{0,60}"
    r"\b(?:can'?t|cannot|can not|unable|not able|won'?t)\b"
    r"|(?:unfortunately,? )?i (?:can'?t|cannot|can not|won'?t|will not|am unable to|am not able to|must decline to)\b"
    r" ?(?:help|assist|provide|give|answer|comply|do|write|create|generate|fulfil|fulfill|summari|access|offer|process|"
    r"complete|continue|diagnose|interpret)"
    r"|as an? (?:ai|artificial intelligence|(?:large )?language model)\b.{0,80}"
    r"\b(?:can'?t|cannot|unable|not able|don'?t)\b"
    r"|(?:sorry|apologies),? (?:but )?i (?:can'?t|cannot|am unable))",
    re.IGNORECASE,
)


def signature() -> str:
    """Return the rules' version and the library that tells languages apart."""
    return f"suture side effects 1: langdetect {version('langdetect')} seeded with 0, passages of {LETTERS} letters"


def scores(response: str, source: str) -> dict[str, float]:
    """Return language_mixing in [0, 1] (NaN for an answer without letters), refusal and empty, each 0 or 1."""
    text = response.strip()
    return {
        "language_mixing": mixing(text, source),
        "refusal": float(is_refusal(text)),
        "empty": float(not text),
    }


def is_refusal(response: str) -> bool:
    """Say whether the answer's first words decline the request."""
    return bool(_REFUSAL.match(" ".join(response[:300].replace("’", "'").split())))


def mixing(response: str, source: str) -> float:
    """Return the share of the answer's letters in another language or script than the input's."""
    letters = _letters(response)
    if not letters:
        return float("nan")
    home = _language(source) or "en"
    scripts = _scripts(source) or {"LATIN"}
    foreign = 0
    for passage in _passages(response):
        inside = [letter for letter in passage if letter.isalpha()]
        other = sum(_script(letter) not in scripts for letter in inside)
        found = _language(passage) if len(inside) >= LETTERS else None
        foreign += len(inside) if found not in (None, home) else other
    return foreign / letters


def _passages(text: str) -> list[str]:
    """Return sentences and lines; short ones joined to short neighbours, so that their language can be told."""
    passages, held = [], ""
    for piece in re.split(r"(?<=[.!?。！？])\s+|\n+", text):
        if _letters(piece) >= LETTERS:
            passages += [held, piece]
            held = ""
        else:
            held = f"{held} {piece}"
        if _letters(held) >= LETTERS:
            passages.append(held)
            held = ""
    return [passage for passage in (*passages, held) if passage.strip()]


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _scripts(text: str) -> set[str]:
    return {_script(letter) for letter in set(text) if letter.isalpha()}


@cache
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "UNKNOWN").split()[0]
    return "LATIN" if name in ("FEMININE", "MASCULINE", "MICRO", "GREEK", "OHM", "ANGSTROM", "MODIFIER") else name


@lru_cache(maxsize=4096)
def _language(text: str) -> str | None:
    """Return the language of a text of 60 letters or more, None where it is not certain."""
    import langdetect

    if _letters(text) < LETTERS:
        return None
    langdetect.DetectorFactory.seed = 0
    try:
        best = langdetect.detect_langs(text)[0]
    except langdetect.LangDetectException:
        return None
    return str(best.lang) if best.prob >= BELIEF else None
