"""Transitions: of each 0/1 metric, model and parent, the shares of items kept, forgotten, gained, never right."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from suture.evaluate.repaired import is_repaired
from suture.report.data import ReportData
from suture.report.labels import measure


@dataclass(frozen=True, slots=True)
class Bar:
    """One stacked bar: shares of items right in both, only in the parent, only in the model, in neither; sum 1."""

    model: str
    kept: float
    forgotten: float
    gained: float
    neither: float


@dataclass(frozen=True, slots=True)
class Panel:
    """The bars of all models against one parent on one 0/1 metric with n items."""

    measure: str
    against: str
    n: int
    bars: tuple[Bar, ...]


def panels(data: ReportData) -> tuple[Panel, ...]:
    """Return a panel for each 0/1 metric and parent, the parents of one metric side by side."""
    found: dict[tuple[str, str, str], list[Bar]] = {}
    counts: dict[tuple[str, str, str], int] = {}
    for contrast in data.comparison.contrasts:
        parent = data.comparison.score(contrast.against, contrast.task, contrast.metric)
        if parent is None or not isfinite(contrast.forgotten) or is_repaired(contrast.metric):
            continue
        kept = max(0.0, parent.value - contrast.forgotten)
        neither = max(0.0, 1 - kept - contrast.forgotten - contrast.gained)
        key = (contrast.task, contrast.metric, contrast.against)
        found.setdefault(key, []).append(Bar(contrast.model, kept, contrast.forgotten, contrast.gained, neither))
        counts[key] = contrast.n
    measures = list(dict.fromkeys(key[:2] for key in found))
    keys = sorted(found, key=lambda key: measures.index(key[:2]))
    return tuple(Panel(measure(*key[:2]), key[2], counts[key], tuple(found[key])) for key in keys)
