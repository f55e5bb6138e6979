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
from suture.kernels.streams import BLOCK, Stream, filled, place_in

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


def sampled(stream: Stream, starts: Sequence[int], size: int) -> list[Bits] | None:
    """Of each input the stretches of `size` elements that begin at `starts`, one after the other.

    None where a file did not give all. size: BLOCK at most.
    """
    samples = tuple(np.empty(len(starts) * size, np.uint16) for _ in stream.inputs)
    return list(samples) if _sample(stream, np.array(starts, np.int64), size, samples) else None


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


def pivot_counts(stream: Stream, first: Bits, entries: NDArray[np.int64], count: int) -> Counted | None:
    """Counts of all models (inputs but the first, the base) in `count` elements: whole segments of stored bfloat16.

    first: (models, ranges) uint32, where a range begins, on the grid. entries: how many grid points it has; 0 for none.
    None where a file did not give all.
    """
    shape = (-(-count // BLOCK), *first.shape)
    above, odd = np.zeros(shape, np.int32), np.empty((*shape, 1 + LISTED), np.uint32)
    table = np.zeros((*shape, int(entries.max(initial=0))), np.int32)
    odd[..., 0] = 0
    if not _count_all(stream, first, entries, count, above, table, odd):
        return None
    numbers = odd[..., 0]
    there = np.arange(min(int(numbers.max(initial=0)), LISTED)) < numbers[..., None]
    bits = odd[..., 1 : 1 + there.shape[-1]][there].view(np.int32)
    listed = np.column_stack([*np.nonzero(there)[:-1], bits]).astype(np.int32)
    return Counted(above, table, listed, bool((numbers > LISTED).any()))


@compiled
def _sample(stream: Stream, starts: NDArray[np.int64], size: int, samples: Any) -> bool:
    for number in range(starts.size):
        if not filled(stream, starts[number], size):
            return False
        at = place_in(stream, starts[number])
        for index in range(len(samples)):
            samples[index][number * size : (number + 1) * size] = stream.inputs[index][at : at + size]
    return True


@compiled
def _bits(x: Bits, base: Bits, out: Bits) -> None:
    for i in range(out.size):
        b = np.uint32(np.uint32(base[i]) << _HALF_WORD).view(np.float32)
        value = np.uint32(np.uint32(x[i]) << _HALF_WORD).view(np.float32)
        out[i] = np.float32(value - b).view(np.uint32) & _MAGNITUDE


@compiled
def _count_all(
    stream: Stream, first: Bits, entries: NDArray[np.int64], count: int, above: Counts, table: Counts, odd: Bits
) -> bool:
    for segment in range(above.shape[0]):
        start = segment * BLOCK
        size = min(BLOCK, count - start)
        if not filled(stream, start, size):
            return False
        at = place_in(stream, start)
        _count(stream.inputs, at, at + size, first, entries, above[segment], table[segment], odd[segment])
    return True


@compiled
def _count(
    raws: Any, start: int, stop: int, first: Bits, entries: NDArray[np.int64], above: Counts, table: Counts, odd: Bits
) -> None:
    """Elements `start` to `stop`: one segment."""
    bits, inside = np.zeros(_TILE, np.uint32), np.zeros(_TILE, np.uint8)
    for t in range(start, stop, _TILE):
        end = min(t + _TILE, stop)
        for model in range(1, len(raws)):
            _bits(raws[model][t:end], raws[0][t:end], bits[: end - t])
            for i in range(end - t, _TILE):
                bits[i] = 0
            for which in range(first.shape[1]):
                width = np.uint32(entries[model - 1, which] << GRID)
                if width == 0:
                    continue
                low = first[model - 1, which]
                above[model - 1, which] += _beyond(bits[: end - t], low + width)
                row = table[model - 1, which]
                few = entries[model - 1, which] <= _FEW
                if few:
                    for entry in range(entries[model - 1, which]):
                        row[entry] += _equal(bits[: end - t], low + np.uint32(entry << GRID))
                _mark(bits[: end - t], low, width, _OFF if few else np.uint32(0), inside)
                for i in range(end - t, _TILE):
                    inside[i] = 0
                _gather(bits, inside, low, row, odd[model - 1, which])


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
