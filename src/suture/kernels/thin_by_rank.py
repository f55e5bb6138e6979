"""Keyed masks whose probability rises with the rank of the magnitude in the row.

An element is kept where its draw lies below the threshold of its rank. Most draws lie below all thresholds or above all
of them; of the others, the histogram of the row tells nearly all ranks well enough. Only where it does not is a rank
counted, and only rows of many equal magnitudes are sorted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Bits, Floats, compiled
from suture.kernels.random import choose, drawn_halves
from suture.kernels.ranks import row_ranks
from suture.kernels.select import magnitude_bits
from suture.kernels.span import with_term
from suture.numerics.ranks import rank_probabilities

SHORT = 512
"""Rows below this are sorted: a histogram would cost more."""

_CHUNK = 1024
_BINS = 1024
"""Of a row's histogram: eight binades below its largest magnitude, 128 each; what is smaller is in the lowest."""

_HIGH = np.uint32(16)


def thinned_by_rank(
    values: Floats,
    base: Floats,
    key: np.uint64,
    start: int,
    columns: int,
    density: float,
    epsilon: float,
    divided: bool,
    out: Floats,
) -> None:
    """`values` where a draw keeps the element, `base` elsewhere; the blocks hold whole rows of `columns`.

    The probability rises with the rank of |values - base| in the row, evenly from density - epsilon (the least) to
    density + epsilon, clipped to [0, 1]; it is `density` in a row of one. divided: differences kept are divided by
    their probability.
    """
    if columns == 0:
        return
    probability = rank_probabilities(columns, density, epsilon)
    thresholds = (probability * 2.0**32).astype(np.uint64)
    if columns >= SHORT and not divided and thresholds[-1] < 1 << 32:
        _thin_rows(values, base, key, start, columns, thresholds, out)
        return
    ranks = row_ranks(values, base, columns)
    if divided:
        with np.errstate(divide="ignore"):
            values = _scaled(values, base, ranks, (1.0 / probability).astype(np.float32))
    _thin_by_rank(values, base, key, start, ranks, thresholds, out)


@compiled
def _scaled(values: Floats, base: Floats, ranks: Bits, factors: Floats) -> Floats:
    out = np.empty_like(values)
    for i in range(out.size):
        factor = factors[ranks[i]]
        scaled = with_term(base[i], factor * (values[i] - base[i]))
        out[i] = values[i] if factor == np.float32(1) else scaled
    return out


@compiled
def _thin_by_rank(
    values: Floats,
    base: Floats,
    key: np.uint64,
    start: int,
    ranks: Bits,
    thresholds: NDArray[np.uint64],
    out: Floats,
) -> None:
    words = np.empty(_CHUNK // 2 + 1, np.uint64)
    for first in range(0, out.size, _CHUNK):
        end = min(first + _CHUNK, out.size)
        halves = drawn_halves(key, start + first, end - first, words)
        _choose_by_rank(values[first:end], base[first:end], halves, ranks[first:end], thresholds, out[first:end])


@compiled
def _choose_by_rank(
    values: Floats, base: Floats, halves: Bits, ranks: Bits, thresholds: NDArray[np.uint64], out: Floats
) -> None:
    for i in range(out.size):
        value, other = values[i], base[i]
        out[i] = value if np.uint64(halves[i]) < thresholds[ranks[i]] else other


@compiled
def _thin_rows(
    values: Floats,
    base: Floats,
    key: np.uint64,
    start: int,
    columns: int,
    thresholds: NDArray[np.uint64],
    out: Floats,
) -> None:
    bits, bins, below = np.empty(columns, np.uint32), np.empty(columns, np.int32), np.empty(_BINS + 1, np.int32)
    words, undecided = np.empty(columns // 2 + 1, np.uint64), np.empty(columns, np.int32)
    share = (np.float64(thresholds[-1]) - np.float64(thresholds[0])) / 2.0**32
    for first in range(0, out.size, columns):
        end = first + columns
        x, b, row = values[first:end], base[first:end], out[first:end]
        _fill_bins(x, b, bits, bins)
        unclear = _fill_below(bins, below) * share / columns
        halves = drawn_halves(key, start + first, columns, words)
        if unclear > columns / 8:
            _choose_by_rank(x, b, halves, row_ranks(x, b, columns), thresholds, row)
            continue
        least, most = np.uint32(thresholds[0]), np.uint32(thresholds[-1])
        choose(x, b, halves, least, row)
        count = _between(halves, least, most, undecided)
        _decide(x, bits, bins, below, halves, thresholds, undecided[:count], row)


@compiled
def _fill_bins(x: Floats, base: Floats, bits: Bits, bins: NDArray[np.int32]) -> None:
    top = np.uint32(0)
    for i in range(x.size):
        bits[i] = magnitude_bits(x[i], base[i])
    for i in range(x.size):
        top = max(top, bits[i])
    lowest = np.int32(top >> _HIGH) - np.int32(_BINS - 1)
    for i in range(x.size):
        bins[i] = max(np.int32(bits[i] >> _HIGH) - lowest, np.int32(0))


@compiled
def _fill_below(bins: NDArray[np.int32], below: NDArray[np.int32]) -> int:
    """How many magnitudes lie in lower bins than each; returns the sum of the squares of the bins' counts."""
    tables = np.zeros((2, _BINS), np.int32)  # two, since an increment of the bin just incremented has to wait for it
    for i in range(0, bins.size - 1, 2):
        tables[0, bins[i]] += 1
        tables[1, bins[i + 1]] += 1
    if bins.size % 2:
        tables[0, bins[bins.size - 1]] += 1
    total, squares = 0, 0
    for k in range(_BINS):
        count = int(tables[0, k]) + int(tables[1, k])
        below[k] = total
        total += count
        squares += count * count
    below[_BINS] = total
    return squares


@compiled
def _between(halves: Bits, least: np.uint32, most: np.uint32, found: NDArray[np.int32]) -> int:
    """Where draws lie in [least, most): only there the rank matters."""
    count = 0
    for i in range(halves.size):
        found[count] = i
        count += int(np.uint32(halves[i] - least) < np.uint32(most - least))
    return count


@compiled
def _decide(
    x: Floats,
    bits: Bits,
    bins: NDArray[np.int32],
    below: NDArray[np.int32],
    halves: Bits,
    thresholds: NDArray[np.uint64],
    undecided: NDArray[np.int32],
    out: Floats,
) -> None:
    columns = bits.size
    least = np.float64(thresholds[0])
    scale = np.float64(columns - 1) / (np.float64(thresholds[-1]) - least) if undecided.size else 0.0
    for k in range(undecided.size):
        i = undecided[k]
        draw = np.uint64(halves[i])
        rank = int((np.float64(draw) - least) * scale)  # the least rank that is kept, up to rounding
        while rank < columns and thresholds[rank] <= draw:
            rank += 1
        while rank > 0 and thresholds[rank - 1] > draw:
            rank -= 1
        kept = rank <= below[bins[i]]
        if not kept and rank < below[bins[i] + 1]:
            kept = rank <= _count(bits[:i], bits[i], True) + _count(bits[i:], bits[i], False)
        value, other = x[i], out[i]
        out[i] = value if kept else other


@compiled
def _count(bits: Bits, bound: np.uint32, equal: bool) -> int:
    """How many lie below the bound, or at it where `equal`."""
    count = np.uint32(0)
    for i in range(bits.size):
        count = np.uint32(count + np.uint32((bits[i] < bound) | (equal & (bits[i] == bound))))
    return int(count)
