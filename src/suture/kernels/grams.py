"""Gram matrices of two models from stored bits."""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import LANES, Bits, Sums, compiled
from suture.kernels.span import added
from suture.kernels.streams import BLOCK, Stream, filled, place_in
from suture.kernels.tile import wide


def gram_pairs(stream: Stream, count: int) -> Sums | None:
    """(segments, 2, 2): the Gram matrix of {b, x - b} of stored bfloat16 in each segment: the bits of gram_segment.

    None where a file did not give all.
    """
    grams = np.empty((-(-count // BLOCK), 2, 2))
    return grams if _grams(stream, count, grams) else None


@compiled
def _grams(stream: Stream, count: int, grams: Sums) -> bool:
    for segment in range(grams.shape[0]):
        first = segment * BLOCK
        size = min(BLOCK, count - first)
        if not filled(stream, first, size):
            return False
        part = slice(place_in(stream, first), place_in(stream, first) + size)
        square, mixed, delta = gram_pair(stream.inputs[0][part], stream.inputs[1][part])
        grams[segment, 0, 0], grams[segment, 1, 1] = square, delta
        grams[segment, 0, 1] = grams[segment, 1, 0] = mixed
    return True


@compiled
def gram_pair(base: Bits, x: Bits) -> Sums:
    """(|b|^2, b.(x - b), |x - b|^2) of stored bfloat16 over one segment: the bits of gram_segment."""
    squares, mixed, deltas = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    full = base.size - base.size % LANES
    for i in range(0, full, LANES):
        b, y = base[i : i + LANES], x[i : i + LANES]
        for lane in range(LANES):
            anchor, delta = np.float64(wide(b[lane])), np.float64(np.float32(wide(y[lane]) - wide(b[lane])))
            squares[lane] += anchor * anchor
            mixed[lane] += anchor * delta
            deltas[lane] += delta * delta
    for lane in range(base.size - full):
        b0 = wide(base[full + lane])
        anchor, delta = np.float64(b0), np.float64(np.float32(wide(x[full + lane]) - b0))
        squares[lane] += anchor * anchor
        mixed[lane] += anchor * delta
        deltas[lane] += delta * delta
    return added((squares, mixed, deltas))
