"""Exact selection by magnitude: histograms over the bits of |x - y|, and the elements inside a range of ranks.

The bits of a finite fp32 magnitude order as the magnitude does: 31 bits, here a high part of 15 and a low one of 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Bits, Floats, compiled

Counts = NDArray[np.int64]

_MAGNITUDE, _LOW = np.uint32(0x7FFFFFFF), np.uint32(0xFFFF)
_LOW_BITS, _COARSE_BITS = np.uint32(16), np.uint32(14)


@compiled
def _bits(x: np.float32, y: np.float32) -> np.uint32:
    """The 31 bits of |x - y|, the difference taken in fp32."""
    return np.float32(x - y).view(np.uint32) & _MAGNITUDE


@compiled
def high_counts(x: Floats, y: Floats) -> Counts:
    """(2**15,): how many |x - y| have each high part."""
    counts = np.zeros(2**15, np.int64)
    for i in range(x.size):
        counts[_bits(x[i], y[i]) >> _LOW_BITS] += 1
    return counts


@compiled
def _low_counts(x: Floats, y: Floats, high: np.uint32) -> Counts:
    counts = np.zeros(2**16, np.int64)
    for i in range(x.size):
        bits = _bits(x[i], y[i])
        if bits >> _LOW_BITS == high:
            counts[bits & _LOW] += 1
    return counts


def low_counts(x: Floats, y: Floats, high: int) -> Counts:
    """(2**16,): how many |x - y| whose high part is `high` have each low part."""
    return _low_counts(x, y, np.uint32(high))


@compiled
def _coarse_counts(x: Floats, y: Floats, high: np.uint32) -> Counts:
    first = np.uint32(high << _LOW_BITS)
    zero = one = two = three = 0
    for i in range(x.size):
        bits = _bits(x[i], y[i])
        zero += bits == first
        one += bits == first | np.uint32(0x4000)
        two += bits == first | np.uint32(0x8000)
        three += bits == first | np.uint32(0xC000)
    return np.array([zero, one, two, three], np.int64)


def coarse_counts(x: Floats, y: Floats, high: int) -> Counts:
    """(4,): how many |x - y| have the high part `high` and the low part 0, 2**14, 2 * 2**14, 3 * 2**14.

    Differences of bf16 numbers of like size have at most ten significant bits, so nearly all of them are among these.
    """
    return _coarse_counts(x, y, np.uint32(high))


@compiled
def _equal_count(x: Floats, y: Floats, wanted: np.uint32) -> int:
    count = 0
    for i in range(x.size):
        count += _bits(x[i], y[i]) == wanted
    return count


def equal_count(x: Floats, y: Floats, bits: int) -> int:
    """How many |x - y| have exactly these bits."""
    return _equal_count(x, y, np.uint32(bits))


@compiled
def _place_of(x: Floats, y: Floats, wanted: np.uint32, count: int) -> int:
    left = count
    for i in range(x.size):
        if left == 0:
            return i
        left -= _bits(x[i], y[i]) == wanted
    return x.size


def place_of(x: Floats, y: Floats, bits: int, count: int) -> int:
    """The least i such that `count` of the |x - y| before i have exactly these bits."""
    return _place_of(x, y, np.uint32(bits), count)


def kept_by_rank(x: Floats, base: Floats, bounds: Sequence[tuple[int, int]], out: Floats) -> None:
    """`x` where |x - base| lies inside the first bound and outside the second, `base` elsewhere.

    A bound (bits, cut) holds magnitudes above `bits` everywhere, and equal ones before position `cut`.
    """
    (inner, inner_cut), (outer, outer_cut) = bounds
    cuts = sorted({0, inner_cut, outer_cut, x.size})
    for start, end in pairwise(cuts):
        part = slice(start, end)
        least, above = inner + (start >= inner_cut), outer + (start >= outer_cut)
        _keep_between(x[part], base[part], np.uint32(least), np.uint32(above), out[part])


@compiled
def _keep_between(x: Floats, base: Floats, least: np.uint32, above: np.uint32, out: Floats) -> None:
    for i in range(x.size):
        bits = _bits(x[i], base[i])
        out[i] = x[i] if (bits >= least) & (bits < above) else base[i]


@compiled
def row_ranks(x: Floats, base: Floats, columns: int) -> Bits:
    """Rank of each |x - base| in its row, 0 for the least; equal ones in the order of their place."""
    ranks = np.empty(x.size, np.uint32)
    keys, other_keys = np.empty(columns, np.uint32), np.empty(columns, np.uint32)
    places, other_places = np.empty(columns, np.uint32), np.empty(columns, np.uint32)
    counts = np.empty((3, 2048), np.uint32)
    digit = np.uint32(2047)
    for first in range(0, x.size, columns):
        counts[:] = 0
        for i in range(columns):
            bits = _bits(x[first + i], base[first + i])
            keys[i] = bits
            places[i] = i
            counts[0, bits & digit] += np.uint32(1)
            counts[1, (bits >> np.uint32(11)) & digit] += np.uint32(1)
            counts[2, bits >> np.uint32(22)] += np.uint32(1)
        for turn in range(3):
            shift = np.uint32(11 * turn)
            table = counts[turn]
            if table[(keys[0] >> shift) & digit] == columns:
                continue  # all share this digit
            total = np.uint32(0)
            for value in range(2048):
                count = table[value]
                table[value] = total
                total += count
            for i in range(columns):
                key = keys[i]
                value = (key >> shift) & digit
                to = table[value]
                table[value] = to + np.uint32(1)
                other_keys[to] = key
                other_places[to] = places[i]
            keys, other_keys = other_keys, keys
            places, other_places = other_places, places
        for rank in range(columns):
            ranks[first + places[rank]] = rank
    return ranks
