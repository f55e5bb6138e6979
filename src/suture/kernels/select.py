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
_LOW_BITS, _ONE = np.uint32(16), np.uint32(1)
_CHUNK = 1024


@compiled
def magnitude_bits(x: np.float32, y: np.float32) -> np.uint32:
    """The 31 bits of |x - y|, the difference taken in fp32."""
    return np.float32(x - y).view(np.uint32) & _MAGNITUDE


@compiled
def high_counts(x: Floats, y: Floats) -> Counts:
    """(2**15,): how many |x - y| have each high part."""
    # four tables, since an increment of the bin just incremented has to wait for it
    tables, bits = np.zeros((4, 2**15), np.uint32), np.empty(_CHUNK, np.uint32)
    for first in range(0, x.size, _CHUNK):
        size = min(_CHUNK, x.size - first)
        _all_bits(x[first : first + size], y[first : first + size], bits)
        fours = size - size % 4
        for i in range(0, fours, 4):
            for table in range(4):
                tables[table, bits[i + table] >> _LOW_BITS] += _ONE
        for i in range(fours, size):
            tables[0, bits[i] >> _LOW_BITS] += _ONE
    counts = np.zeros(2**15, np.int64)
    for table in range(4):
        counts += tables[table]
    return counts


@compiled
def _all_bits(x: Floats, y: Floats, out: Bits) -> None:
    for i in range(x.size):
        out[i] = magnitude_bits(x[i], y[i])


@compiled
def _low_counts(x: Floats, y: Floats, high: np.uint32) -> Counts:
    counts = np.zeros(2**16, np.int64)
    bits, chosen = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK, np.uint32)
    for first in range(0, x.size, _CHUNK):
        size = min(_CHUNK, x.size - first)
        _all_bits(x[first : first + size], y[first : first + size], bits)
        found = 0
        for i in range(size):  # collected first: a branch taken at random costs more
            chosen[found] = bits[i] & _LOW
            found += bits[i] >> _LOW_BITS == high
        for i in range(found):
            counts[chosen[i]] += 1
    return counts


def low_counts(x: Floats, y: Floats, high: int) -> Counts:
    """(2**16,): how many |x - y| whose high part is `high` have each low part."""
    return _low_counts(x, y, np.uint32(high))


@compiled
def _coarse_counts(x: Floats, y: Floats, high: np.uint32) -> Counts:
    first = np.uint32(high << _LOW_BITS)
    zero = one = two = three = 0
    for i in range(x.size):
        bits = magnitude_bits(x[i], y[i])
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
        count += magnitude_bits(x[i], y[i]) == wanted
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
        left -= magnitude_bits(x[i], y[i]) == wanted
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
        keep_between(x[part], base[part], np.uint32(least), np.uint32(above), out[part])


@compiled
def keep_between(x: Floats, base: Floats, least: np.uint32, above: np.uint32, out: Floats) -> None:
    """`x` where the magnitude bits lie in [least, above), `base` elsewhere."""
    for i in range(x.size):
        bits = magnitude_bits(x[i], base[i])
        value, other = x[i], base[i]
        out[i] = value if (bits >= least) & (bits < above) else other


def kept_by_score(x: Floats, base: Floats, score: Floats, bound: tuple[int, int], out: Floats) -> None:
    """`x` where the bits of `score` (not negative) lie inside the bound, `base` elsewhere."""
    bits, cut = bound
    for part, least in ((slice(0, cut), bits), (slice(cut, None), bits + 1)):
        _keep_scored(x[part], base[part], score[part].view(np.uint32), np.uint32(least), out[part])


@compiled
def _keep_scored(x: Floats, base: Floats, score: Bits, least: np.uint32, out: Floats) -> None:
    for i in range(x.size):
        value, other = x[i], base[i]
        out[i] = value if score[i] & _MAGNITUDE >= least else other
