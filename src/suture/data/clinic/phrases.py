"""Wording that the renderers share: sentences, lists, negations."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random


def sentence(text: str) -> str:
    """Return `text` with a capital first letter and one full stop at its end."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def article(text: str) -> str:
    """Return `text` with "a" or "an" before it ("an 80-year-old", "an 11-year-old", "a 54-year-old")."""
    return f"{'an' if text.startswith(('8', '11', '18')) or text[0].lower() in 'aeiou' else 'a'} {text}"


def listed(texts: Sequence[str], word: str = "and") -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {word} {texts[-1]}"


def negated(texts: Sequence[str], rng: Random) -> str:
    """Return the findings as absent, every one of them within reach of a negation word in the same clause."""
    if rng.random() < 0.5:
        return "no " + ", no ".join(texts)
    return "no " + listed(texts, "or")


def shuffled(texts: Sequence[str], rng: Random) -> list[str]:
    """Return `texts` in an order drawn by `rng`."""
    return rng.sample(texts, len(texts))
