"""Exact selection of the largest elements of a tensor, streamed: what trims task vectors, and quantiles.

The order is that of falling magnitude |x - y| in fp32, equal ones in the order of their place. Two passes find the bits
of the element at a rank: a histogram of their high half, then one of the low half inside the bin found. Equal elements
are told apart by their place, for which they are counted segment by segment: in the second pass for the low halves that
differences of bf16 numbers have, in a third where the element found is none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.methods.masks import Bound, Stretch
from suture.methods.shapes import Block, Blocks, Counts, Reduction, Steps

Pairs = Sequence[tuple[Block, Block]]
"""For each selection the blocks x and y whose |x - y| are ordered."""

NAMES = ("high", "rank", "coarse", "before")
"""The reductions of a selection; "rank" and "before" are all that is read of them afterwards."""

BEYOND = 2**31
"""Bits above those of every magnitude: the bound that holds nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The elements at the ranks asked for, each array (selections, bounds).

    bits: of the last element inside the bound. quota: how many of the elements with these bits are inside, counted
    from the start of the tensor. equal: how many there are.
    """

    bits: Counts
    quota: Counts
    equal: Counts

    def value(self) -> NDArray[np.float32]:
        """The magnitudes themselves."""
        return self.bits.astype(np.uint32).view(np.float32)


def selection(
    pairs: Callable[..., Pairs], counts: Callable[..., Counts], *, places: bool = True, after: tuple[str, ...] = ()
) -> list[Reduction]:
    """The reductions that find bounds: "rank" concludes to a Found, the others are for `bounds`.

    pairs(steps, blocks, **parameters) gives what is ordered; counts(elements, found, **parameters), (selections,
    bounds), how many of the largest lie inside each bound. places: whether equal elements are told apart. after: what
    `counts` reads of `found`.
    """

    def high(steps: Steps, blocks: Blocks, found: Mapping[str, Any], **params: Any) -> Counts:
        return np.stack([steps.high_counts(x, y) for x, y in pairs(steps, blocks, **params)])

    def in_bins(step: str) -> Callable[..., Counts]:
        def measure(steps: Steps, blocks: Blocks, found: Mapping[str, Any], **params: Any) -> Counts:
            bins, wanted = found["high"]
            none = np.zeros_like(getattr(steps, step)(*(block[:0] for block in blocks.inputs[:2]), 0))
            measured = [
                [getattr(steps, step)(x, y, int(high)) if left > 0 else none for high, left in zip(*row, strict=True)]
                for (x, y), row in zip(pairs(steps, blocks, **params), zip(bins, wanted, strict=True), strict=True)
            ]
            return np.array(measured)

        return measure

    def equal(steps: Steps, blocks: Blocks, found: Mapping[str, Any], **params: Any) -> Counts:
        return np.array(
            [
                [steps.equal_count(x, y, int(bits)) for bits in row]
                for (x, y), row in zip(pairs(steps, blocks, **params), found["rank"].bits, strict=True)
            ]
        )

    def high_bins(sums: Counts, found: Mapping[str, Any], *, elements: int, **params: Any) -> Counts:
        wanted = counts(elements, found, **params)
        return np.stack(_descend(sums[:, None], wanted)[:2])

    reductions = [
        Reduction("high", high, after=after, by="count", conclude=high_bins),
        Reduction("rank", in_bins("low_counts"), after=("high",), by="count", conclude=_rank),
    ]
    if places:
        reductions += [
            Reduction("coarse", in_bins("coarse_counts"), after=("high",), by="segment"),
            Reduction("before", equal, after=("rank", "coarse"), by="segment", conclude=_before, needed=_finer),
        ]
    return reductions


def _descend(histograms: Counts, wanted: Counts) -> tuple[Counts, Counts, Counts]:
    """For each entry of `wanted`: the bin that holds the wanted-th element from above, how many of it, its size."""
    bins = histograms.shape[-1]
    above: Counts = np.broadcast_to(histograms, (*wanted.shape, bins))[..., ::-1].cumsum(-1)
    position: Counts = np.minimum((above < wanted[..., None]).sum(-1), bins - 1)
    reached = np.take_along_axis(above, position[..., None], -1)[..., 0]
    found = bins - 1 - position
    size = np.take_along_axis(np.broadcast_to(histograms, above.shape), found[..., None], -1)[..., 0]
    return found, wanted - (reached - size), size


def _rank(sums: Counts, found: Mapping[str, Any], **params: Any) -> Found:
    high, wanted = found["high"]
    low, quota, equal = _descend(sums, wanted)
    nothing = wanted <= 0
    return Found(*(np.where(nothing, none, x) for none, x in ((BEYOND, (high << 16) | low), (0, quota), (0, equal))))


def _finer(found: Mapping[str, Any]) -> bool:
    rank = found["rank"]
    return bool(((rank.quota < rank.equal) & (rank.bits & 0x3FFF != 0)).any())


def bounds(found: Mapping[str, Any], stretch: Stretch) -> list[list[Bound]]:
    """For each selection its bounds as `kept_by_rank` takes them, in this block."""
    rank, before = found["rank"], found["before"]
    first, last = stretch.start // stretch.segment, -(-(stretch.start + stretch.size) // stretch.segment)

    def cut(at: tuple[int, int]) -> int:
        quota = int(rank.quota[at])
        if quota == rank.equal[at] or before[(last, *at)] <= quota:
            return stretch.size
        if before[(first, *at)] >= quota:
            return 0
        segment = int(np.searchsorted(before[(slice(first, last), *at)], quota)) - 1
        inside = stretch.place(at[0], segment, int(rank.bits[at]), quota - int(before[(first + segment, *at)]))
        return segment * stretch.segment + inside

    return [[(int(bits), cut((i, j))) for j, bits in enumerate(row)] for i, row in enumerate(rank.bits)]


def _before(counts: Counts | None, found: Mapping[str, Any], **params: Any) -> Counts:
    """(segments + 1, selections, bounds): how many elements equal to the last one inside stand before each segment."""
    if counts is None:
        low = (found["rank"].bits >> 14) & 3
        counts = np.take_along_axis(found["coarse"], low[None, ..., None], -1)[..., 0]
    return np.concatenate([np.zeros_like(counts[:1]), counts.cumsum(0)])
