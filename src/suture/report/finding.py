"""The finding in words: what each merge keeps, forgets and leaves open, read off the verdicts and nothing else.

Each axis is asked of the parent that scores better on it, since only that parent has something to lose there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from suture.compare.axes import orientation
from suture.compare.verdicts import Contrast
from suture.report.data import ModelCard, ReportData
from suture.report.labels import coefficient, measure

_VERBS = {
    "kept": "keeps",
    "forgotten": "forgets",
    "not established at this n": "leaves open",
    "no headroom": "has no headroom to be judged on",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One verb of a finding and what it speaks of: "keeps" + "the general parent's instruction contrast"."""

    verdict: str
    verb: str
    what: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one model: its opening and its clauses, the kept ones first."""

    model: str
    opening: str
    clauses: tuple[Clause, ...]

    @property
    def sentence(self) -> str:
        """The finding as one sentence of plain text."""
        return f"{self.opening} {listed([f'{c.verb} {c.what}' for c in self.clauses], ', and ')}."


def headline(data: ReportData) -> Finding | None:
    """Return the finding that stands on top: the merge whose coefficient is nearest to one half, chosen by no score.

    None where the gate was not accepted (its own sentence is then the headline) or no merge was judged.
    """
    if not data.gate.accepted:
        return None
    nominal = {card.label: card.nominal for card in data.models if card.role == "merge"}
    merges = [found for found in findings(data) if found.model in nominal]
    return min(merges, key=lambda found: _distance(nominal[found.model]), default=None)


def findings(data: ReportData) -> tuple[Finding, ...]:
    """Return one finding for each judged model but the ancestor, which had nothing to forget; in the cards' order."""
    cards = [card for card in data.models if card.role not in ("ancestor", "replicate")]
    found = (Finding(card.label, _opening(card), _clauses(data, card.label)) for card in cards)
    return tuple(finding for finding in found if finding.clauses)


def what_was_merged(data: ReportData) -> str:
    """Return one sentence that names the parents, how each was made, the merges and the adapted models."""
    parents = [
        f"{c.label} ({c.method})" if c.method else c.label for c in data.models if c.role in ("general", "clinical")
    ]
    merges = [card.label for card in data.models if card.role == "merge"]
    adapted = [card.label for card in data.models if card.role == "adapted"]
    tail = f"; adapted: {', '.join(adapted)}" if adapted else ""
    return f"Merged: {listed(parents)}, as {listed(merges)}{tail}."


def at_stake(data: ReportData, model: str) -> tuple[Contrast, ...]:
    """Return, for each axis with a margin, the contrast of `model` with the parent that scores better on that axis."""
    found = []
    for axis in data.comparison.axes:
        parent = better_parent(data, axis.task, axis.metric)
        contrast = data.comparison.contrast(model, parent, axis.task, axis.metric) if parent else None
        if contrast is not None:
            found.append(contrast)
    return tuple(found)


def better_parent(data: ReportData, task: str, metric: str) -> str:
    """Return the label of the parent with the better score on a metric; "" where none was scored."""
    scores = [data.comparison.score(parent, task, metric) for parent in data.comparison.against]
    known = [score for score in scores if score is not None and not isnan(score.value)]
    return max(known, key=lambda score: orientation(metric) * score.value).model if known else ""


def listed(parts: Sequence[str], last: str = " and ") -> str:
    """Join words as a sentence does: "a, b and c"."""
    return last.join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _opening(card: ModelCard) -> str:
    if isnan(card.nominal):
        return f"The merge {card.label}" if card.role == "merge" else card.label
    what = "the merge" if card.role == "merge" else f"the {card.role} parent itself"
    return f"At a = {coefficient(card.nominal)} {what}"


def _clauses(data: ReportData, model: str) -> tuple[Clause, ...]:
    contrasts = at_stake(data, model)
    return tuple(
        Clause(verdict, verb, _objects(data, [c for c in contrasts if c.verdict == verdict]))
        for verdict, verb in _VERBS.items()
        if any(c.verdict == verdict for c in contrasts)
    )


def _objects(data: ReportData, contrasts: Sequence[Contrast]) -> str:
    owned = []
    for parent in dict.fromkeys(contrast.against for contrast in contrasts):
        measures = [measure(c.task, c.metric) for c in contrasts if c.against == parent]
        owned.append(f"{data.parent_name(parent)}'s {listed(measures)}")
    tail = " at this n" if contrasts[0].verdict == "not established at this n" else ""
    return listed(owned) + tail


def _distance(nominal: float) -> float:
    return float("inf") if isnan(nominal) else abs(nominal - 0.5)
