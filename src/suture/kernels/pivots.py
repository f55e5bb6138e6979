"""Counts between two pivots: one pass that finds the magnitude at a rank, where a sample has said about where it lies.

Magnitudes are the 31 bits of |x - base| (see select), taken from stored bfloat16. Differences of bfloat16 numbers of
like size have ten significant bits at most, so nearly all lie on a grid of 2**13 in those bits: they are counted in a
small table, what lies off the grid is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Bits, compiled
from suture.numerics.anchor import SEGMENT

GRID = 13
"""Bits below those that the table tells apart."""

LISTED = 2048
"""Room for elements off the grid in the list of one segment and range."""

_FEW = 4
"""Grid points that are counted one by one, each in a vector loop: where many elements are equal, these are few."""

_TILE = 1024
_HALF_WORD, _MAGNITUDE, _OFF = np.uint32(16), np.uint32(0x7FFFFFFF), np.uint32((1 << GRID) - 1)
_GRID = np.uint32(GRID)

Counts = NDArray[np.int32]


def magnitudes(x: Bits, base: Bits) -> Bits:
    """The bits of |x - base| of stored bfloat16."""
    out = np.empty(x.size, np.uint32)
    _bits(x, base, out)
    return out


class Counted(NamedTuple):
    """Counts of each segment, for each model and each of its ranges.

    above: (segments, models, ranges), how many lie beyond the range. table: (segments, models, ranges, most entries),
    how many lie on each of its grid points. listed: what lies off the grid inside it, 4 columns: segment, model, range,
    bits. full: whether there was no room for all of them.
    """

    above: Counts
    table: Counts
    listed: Counts
    full: bool


def pivot_counts(raws: Sequence[Bits], first: Bits, entries: NDArray[np.int64]) -> Counted:
    """Counts of all models (`raws` but the first, the base) in whole segments.

    first: (models, ranges) uint32, where a range begins, on the grid. entries: how many grid points it has; 0 for none.
    """
    shape = (-(-raws[0].size // SEGMENT), *first.shape)
    above, odd = np.zeros(shape, np.int32), np.empty((*shape, 1 + LISTED), np.uint32)
    table = np.zeros((*shape, int(entries.max(initial=0))), np.int32)
    odd[..., 0] = 0
    _count(tuple(raws), first, entries, above, table, odd)
    numbers = odd[..., 0]
    there = np.arange(min(int(numbers.max(initial=0)), LISTED)) < numbers[..., None]
    bits = odd[..., 1 : 1 + there.shape[-1]][there].view(np.int32)
    listed = np.column_stack([*np.nonzero(there)[:-1], bits]).astype(np.int32)
    return Counted(above, table, listed, bool((numbers > LISTED).any()))


@compiled
def _bits(x: Bits, base: Bits, out: Bits) -> None:
    for i in range(out.size):
        b = np.uint32(np.uint32(base[i]) << _HALF_WORD).view(np.float32)
        value = np.uint32(np.uint32(x[i]) << _HALF_WORD).view(np.float32)
        out[i] = np.float32(value - b).view(np.uint32) & _MAGNITUDE


@compiled
def _count(raws: Any, first: Bits, entries: NDArray[np.int64], above: Counts, table: Counts, odd: Bits) -> None:
    bits, inside = np.zeros(_TILE, np.uint32), np.zeros(_TILE, np.uint8)
    for t in range(0, raws[0].size, _TILE):
        end, segment = min(t + _TILE, raws[0].size), t // SEGMENT
        for model in range(1, len(raws)):
            _bits(raws[model][t:end], raws[0][t:end], bits[: end - t])
            for i in range(end - t, _TILE):
                bits[i] = 0
            for which in range(first.shape[1]):
                width = np.uint32(entries[model - 1, which] << GRID)
                if width == 0:
                    continue
                low = first[model - 1, which]
                above[segment, model - 1, which] += _beyond(bits[: end - t], low + width)
                row = table[segment, model - 1, which]
                few = entries[model - 1, which] <= _FEW
                if few:
                    for entry in range(entries[model - 1, which]):
                        row[entry] += _equal(bits[: end - t], low + np.uint32(entry << GRID))
                _mark(bits[: end - t], low, width, _OFF if few else np.uint32(0), inside)
                for i in range(end - t, _TILE):
                    inside[i] = 0
                _gather(bits, inside, low, row, odd[segment, model - 1, which])


@compiled
def _beyond(bits: Bits, top: np.uint32) -> np.uint32:
    count = np.uint32(0)
    for i in range(bits.size):
        count = np.uint32(count + np.uint32(bits[i] >= top))  # else numba counts in 64 bits, at half the speed
    return count


@compiled
def _equal(bits: Bits, wanted: np.uint32) -> np.uint32:
    count = np.uint32(0)
    for i in range(bits.size):
        count = np.uint32(count + np.uint32(bits[i] == wanted))
    return count


@compiled
def _mark(bits: Bits, low: np.uint32, width: np.uint32, off: np.uint32, inside: Bits) -> None:
    """What lies inside the range; with `off` only what also lies off the grid."""
    for i in range(bits.size):
        offset = np.uint32(bits[i] - low)
        inside[i] = np.uint8((offset < width) & ((off == np.uint32(0)) | (offset & off != np.uint32(0))))


@compiled
def _gather(bits: Bits, inside: Bits, low: np.uint32, table: Counts, odd: Bits) -> None:
    """Few are inside: eight at a time are passed over."""
    eights = inside.view(np.uint64)
    for eight in range(eights.size):
        if eights[eight] == np.uint64(0):
            continue
        for i in range(8 * eight, 8 * eight + 8):
            if inside[i]:
                offset = np.uint32(bits[i] - low)
                if offset & _OFF == 0:
                    table[offset >> _GRID] += 1
                else:
                    odd[0] += np.uint32(1)
                    if odd[0] <= LISTED:
                        odd[odd[0]] = bits[i]
