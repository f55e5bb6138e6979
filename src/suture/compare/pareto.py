"""The Pareto front of two measures: the models than which no other one is better on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite


def front(points: Mapping[str, Sequence[float]], better: Sequence[int]) -> tuple[str, ...]:
    """Return the labels of the points that no other point dominates, in the order given.

    points maps a label to its scores, one a measure; better says for each measure whether more (1) or less (-1) is
    better. A point dominates another when it is nowhere worse and somewhere better, so equal points stand together.
    Points with a score that is not finite are left out. The front is read off the means: that a point lies on it, or
    beside it, is no test; the intervals and contrasts are.
    """
    known = {
        label: [sign * value for sign, value in zip(better, scores, strict=True)]
        for label, scores in points.items()
        if all(isfinite(value) for value in scores)
    }
    return tuple(label for label, one in known.items() if not any(_dominates(two, one) for two in known.values()))


def _dominates(one: Sequence[float], two: Sequence[float]) -> bool:
    pairs = list(zip(one, two, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)
