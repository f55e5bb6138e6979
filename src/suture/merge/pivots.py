"""Selection in one pass: a sample says about where each wanted rank lies, the pass counts what lies around it.

The result is exact and the same as that of the two histogram passes (`suture.methods.selection`): where the wanted
element does not lie between the pivots, or too much does, there is no result and those passes are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.kernels.pivots import GRID, Counted, magnitudes
from suture.methods.selection import BEYOND, Found

CHUNKS, CHUNK = 64, 1024
"""A sample: that many stretches of as many elements, evenly spread over the tensor."""

SAMPLED_FROM = CHUNKS * CHUNK
"""Elements of the smallest tensor that is sampled; smaller ones are sorted."""

MOST_ENTRIES = 256
"""Grid points between two pivots, at most: counts are kept segment by segment."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pivots:
    """Where to count, (models, ranges) each: wanted ranks, first magnitude on the grid, how many grid points."""

    wanted: Counts
    first: NDArray[np.uint32]
    entries: Counts


def sample_starts(elements: int) -> list[int]:
    """The first elements of the stretches of a sample."""
    return [number * (elements - CHUNK) // (CHUNKS - 1) for number in range(CHUNKS)]


def choose_pivots(sample: Sequence[NDArray[Any]], wanted: Counts, elements: int) -> Pivots | None:
    """Pivots for the `wanted` ranks (models, ranges) of a tensor, None where the sample does not show any.

    sample: stored bfloat16 of the stretches, one after the other, the base first. A range spans four standard errors
    of the sample's share to both sides. They are estimated from the differences of neighbouring stretches, since rows
    differ in their magnitudes, and neighbours less (Wolter, Introduction to Variance Estimation, 2007, section 8.2).
    """
    first, entries = np.zeros(wanted.shape, np.uint32), np.zeros(wanted.shape, np.int64)
    for model, x in enumerate(sample[1:]):
        bits = magnitudes(x, sample[0])
        falling = np.sort(bits)[::-1] if (wanted[model] > 0).any() else bits
        for which in np.flatnonzero(wanted[model] > 0):
            share = wanted[model, which] / elements
            above = (bits.reshape(-1, CHUNK) >= falling[_within(share, bits.size)]).mean(1)
            margin = 4 * np.sqrt((np.diff(above) ** 2).mean() / 2 / len(above)) + 2 / bits.size
            low, high = (int(falling[_within(share + side, bits.size)]) >> GRID for side in (margin, -margin))
            first[model, which], entries[model, which] = low << GRID, high - low + 1
    return Pivots(wanted, first, entries) if entries.max(initial=0) <= MOST_ENTRIES else None


def _within(share: float, size: int) -> int:
    return min(max(int(share * size), 0), size - 1)


def settle_by_sorting(whole: Sequence[NDArray[Any]], wanted: Counts) -> tuple[Found, Counts]:
    """What `settle` gives, of a whole tensor of one segment in memory: stored bfloat16, the base first."""
    bits, quota, equal = (np.full(wanted.shape, fill, np.int64) for fill in (BEYOND, 0, 0))
    for model, x in enumerate(whole[1:]):
        magnitude = np.sort(magnitudes(x, whole[0]))
        for which in np.flatnonzero(wanted[model] > 0):
            at = (model, which)
            bits[at] = magnitude[magnitude.size - wanted[at]]
            below, upto = (int(np.searchsorted(magnitude, bits[at], side)) for side in ("left", "right"))
            equal[at], quota[at] = upto - below, wanted[at] - (magnitude.size - upto)
    return Found(bits, quota, equal), np.stack([np.zeros_like(equal), equal])


def settle(pivots: Pivots, counted: Sequence[Counted]) -> tuple[Found, Counts] | None:
    """The elements at the wanted ranks, and (segments + 1, models, ranges) how many equal ones stand before each
    segment; None where one lies outside its range or more was to be listed than there was room for.

    counted: of all segments, in order, several at a time.
    """
    if any(part.full for part in counted):
        return None
    above, table = (np.concatenate([part[i] for part in counted]) for i in range(2))
    odd = _listed(counted)
    shape, segments = pivots.wanted.shape, len(above)
    bits, quota, equal = np.full(shape, BEYOND, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    before = np.zeros((segments + 1, *shape), np.int64)
    for model, which in zip(*np.nonzero(pivots.wanted > 0), strict=True):
        at, first = (model, which), int(pivots.first[model, which])
        mine = odd[(odd[:, 1] == model) & (odd[:, 2] == which)]
        on_grid = table[:, model, which, : int(pivots.entries[at])]
        values, numbers = _values(first, on_grid.sum(0), mine[:, 3])
        reached = int(above[:, model, which].sum()) + numbers.cumsum()
        place = int(np.searchsorted(reached, pivots.wanted[at]))
        if place == len(reached) or reached[0] - numbers[0] >= pivots.wanted[at]:
            return None
        bits[at], equal[at] = values[place], numbers[place]
        quota[at] = pivots.wanted[at] - (reached[place] - numbers[place])
        entry, off = divmod(int(values[place]) - first, 1 << GRID)
        each = on_grid[:, entry] if off == 0 else _by_segment(mine[mine[:, 3] == values[place]], segments)
        before[1:, model, which] = each.cumsum()
    return Found(bits, quota, equal), before


def _listed(counted: Sequence[Counted]) -> Counts:
    """What was listed, with the segments numbered through."""
    starts = np.cumsum([0, *(len(part.above) for part in counted[:-1])])
    shifted = [part.listed + np.array([start, 0, 0, 0]) for part, start in zip(counted, starts, strict=True)]
    return np.concatenate(shifted)


def _by_segment(listed: Counts, segments: int) -> Counts:
    return np.bincount(listed[:, 0], minlength=segments)


def _values(first: int, counts: Counts, odd: Counts) -> tuple[Counts, Counts]:
    """The distinct magnitudes of a range in falling order, and how many there are of each."""
    listed, numbers = np.unique(odd, return_counts=True)
    values = np.concatenate([first + (np.arange(len(counts)) << GRID), listed])
    together = np.concatenate([counts, numbers])
    values, together = values[together > 0], together[together > 0]
    order = np.argsort(-values)
    return values[order], together[order]
