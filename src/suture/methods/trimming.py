"""Trimming by magnitude: which elements of the task vectors ties and breadcrumbs keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suture.methods.masks import Mask, Stretch
from suture.methods.selection import Pairs, bounds, selection
from suture.methods.shapes import Blocks, Counts, Reduction, Steps


def task_vectors(steps: Steps, blocks: Blocks, **parameters: Any) -> Pairs:
    """Each model with the base."""
    return [(model, blocks.inputs[0]) for model in blocks.inputs[1:]]


def kept_ranks(
    elements: int,
    found: Mapping[str, Any],
    *,
    density: tuple[float, ...],
    gamma: tuple[float, ...] | None = None,
    **parameters: Any,
) -> Counts:
    """(models, 2): how many of the largest are above the lowest one kept (it counted), and above the highest one kept.

    Without gamma max(1, floor(density n)) of the largest are kept. With it floor(density n) below the floor(gamma n)
    largest are, or those nearest to them where so many there are not.
    """
    if gamma is None:
        return np.array([[min(max(1, int(p * elements)), elements), 0] for p in density])
    ranks = []
    for p, g in zip(density, gamma, strict=True):
        kept = int(p * elements)
        below = max(0, elements - kept - int(g * elements)) if p < 1.0 else 0
        ranks.append([elements - below, elements - below - kept])
    return np.array(ranks)


def reductions(**parameters: Any) -> tuple[Reduction, ...]:
    """The bounds of what is kept."""
    return tuple(selection(task_vectors, kept_ranks))


def masks(found: Mapping[str, Any], stretch: Stretch, *, density: tuple[float, ...], **parameters: Any) -> list[Mask]:
    """The bounds of each model, where anything is to be dropped."""
    if "rank" not in found:
        return [Mask()] * len(density)
    return [Mask(ranks=(inner, outer)) for inner, outer in bounds(found, stretch)]
