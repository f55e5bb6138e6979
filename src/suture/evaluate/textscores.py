"""Scores of one written answer, by the name of the metric: against reference, input and structured record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from suture.data.records import Record
from suture.evaluate.metrics import bleu, claims, facts, length, meteor, rouge, side_effects

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics that are computed together. score takes (response, record, vocabulary of the records' facts)."""

    names: tuple[str, ...]
    signature: Callable[[], str]
    score: Callable[[str, Record, facts.Vocabulary], Scores]


FAMILIES: tuple[Family, ...] = (
    Family(rouge.NAMES, rouge.signature, lambda text, record, _: rouge.scores(text, record.target)),
    Family(("bleu",), bleu.signature, lambda text, record, _: {"bleu": bleu.score(text, record.target)}),
    Family(("meteor",), meteor.signature, lambda text, record, _: {"meteor": meteor.score(text, record.target)}),
    Family(
        ("fact_recall", "fact_fabrication"),
        facts.signature,
        lambda text, record, words: facts.scores(text, record.facts, record.input, words),
    ),
    Family(claims.NAMES, claims.signature, lambda text, record, _: claims.scores(text, record.input, record.target)),
    Family(("words", "repetition"), length.signature, lambda text, record, _: length.scores(text)),
    Family(side_effects.NAMES, side_effects.signature, lambda text, record, _: side_effects.scores(text, record.input)),
)
NAMES = tuple(dict.fromkeys(name for family in FAMILIES for name in family.names))


def needed(metrics: Iterable[str]) -> list[Family]:
    """Return the families that yield `metrics`, the fewest first; facts by the record only where recall is asked for.

    fact_fabrication is counted against the structured record where fact_recall is asked for, else against the input.
    """
    wanted = set(metrics)
    found = []
    for family in FAMILIES:
        if not wanted & set(family.names):
            continue
        if family.names == ("fact_recall", "fact_fabrication") and "fact_recall" not in wanted:
            continue
        if family.names == claims.NAMES and "fact_recall" in wanted:
            continue
        found.append(family)
    return found


def signatures(metrics: Iterable[str]) -> dict[str, str]:
    """Return metric -> library, version and settings."""
    wanted = tuple(metrics)
    known = {name: family.signature() for family in needed(wanted) for name in family.names}
    return {metric: known[metric] for metric in wanted}


def score_text(
    metrics: Iterable[str], response: str, record: Record, words: facts.Vocabulary | None = None
) -> dict[str, float]:
    """Return `metrics` of one response to `record`; `words` is the vocabulary of the structured records, if any."""
    wanted = tuple(metrics)
    vocabulary = facts.vocabulary([record.facts]) if words is None else words
    found: dict[str, float] = {}
    for family in needed(wanted):
        found |= family.score(response, record, vocabulary)
    return {metric: found[metric] for metric in wanted}
