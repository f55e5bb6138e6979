"""Keyed masks: what a draw keeps, with one probability for all or one that rises with the rank in the row.

Draw i of a key is the low half of splitmix64(key, i // 2) for even i, the high half for odd i: 32 bits. An element is
kept where its draw lies below probability * 2**32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Floats, compiled
from suture.kernels.select import row_ranks
from suture.kernels.span import with_term
from suture.kernels.stored import draw
from suture.numerics.keys import keep_threshold
from suture.numerics.ranks import rank_probabilities

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def thinned(values: Floats, base: Floats, key: np.uint64, start: int, density: float, out: Floats) -> None:
    """`values` where a draw keeps the element (probability `density`, index `start + i`), `base` elsewhere."""
    _thin(values, base, key, start, keep_threshold(density), out)


@compiled
def _thin(values: Floats, base: Floats, key: np.uint64, start: int, threshold: np.uint64, out: Floats) -> None:
    odd = start & 1
    first = np.uint64((start + odd) >> 1)
    pairs = (out.size - odd) >> 1
    if odd and out.size:
        out[0] = values[0] if draw(key, first - np.uint64(1)) >> _HALF < threshold else base[0]
    for pair in range(pairs):
        word = draw(key, first + np.uint64(pair))
        i = odd + 2 * pair
        out[i] = values[i] if (word & _LOW) < threshold else base[i]
        out[i + 1] = values[i + 1] if (word >> _HALF) < threshold else base[i + 1]
    last = odd + 2 * pairs
    if last < out.size:
        out[last] = values[last] if (draw(key, first + np.uint64(pairs)) & _LOW) < threshold else base[last]


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
    with np.errstate(divide="ignore"):
        factors = (1.0 / probability if divided else np.ones(columns)).astype(np.float32)
    _thin_by_rank(values, base, key, start, row_ranks(values, base, columns), thresholds, factors, out)


@compiled
def _thin_by_rank(
    values: Floats,
    base: Floats,
    key: np.uint64,
    start: int,
    ranks: NDArray[np.uint32],
    thresholds: NDArray[np.uint64],
    factors: Floats,
    out: Floats,
) -> None:
    for i in range(out.size):
        index = start + i
        word = draw(key, np.uint64(index >> 1))
        half = word >> _HALF if index & 1 else word & _LOW
        rank = ranks[i]
        if half >= thresholds[rank]:
            out[i] = base[i]
        elif factors[rank] == np.float32(1):
            out[i] = values[i]
        else:
            out[i] = with_term(base[i], factors[rank] * (values[i] - base[i]))
