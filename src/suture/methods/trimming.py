"""Trimming by magnitude: which elements of the task vectors ties and breadcrumbs keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suture.methods.selection import Pairs, bounds, selection
from suture.methods.shapes import Block, Blocks, Counts, Reduction, Steps


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


def keep(steps: Steps, blocks: Blocks, found: Mapping[str, Any], rows: Block, **parameters: Any) -> None:
    """The models where their task vectors lie within the bounds, the base elsewhere."""
    base, *models = blocks.inputs
    if "rank" not in found:  # nothing is to be dropped
        for model, row in zip(models, rows, strict=True):
            row[:] = model
        return
    limits = bounds(steps, blocks, task_vectors(steps, blocks), found)
    for model, row, (inner, outer) in zip(models, rows, limits, strict=True):
        steps.kept_by_rank(model, base, (inner, outer), row)
