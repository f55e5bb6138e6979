"""Weighted sums, Gram matrices and the realised coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from suture.kernels.compile import LANES, Floats, Sums, compiled
from suture.numerics.anchor import anchored


def weighted_sum(blocks: Sequence[Floats], coefficients: Sequence[float], out: Floats) -> None:
    """sum_i a_i x_i into `out`, in fp32, as s x_k + sum over i != k of a_i (x_i - x_k), s = sum_i a_i, k = the anchor.

    Equal inputs with s = 1, and coefficients that are 0 but for a single 1, return the input's own bits. An input with
    coefficient 0 is not read. `out` overlaps no input.
    """
    anchor, total = anchored(coefficients)
    base, scale = blocks[anchor], np.float32(total)
    terms = [(x, np.float32(a)) for i, (x, a) in enumerate(zip(blocks, coefficients, strict=True)) if i != anchor and a]
    if not terms:
        np.multiply(base, scale, out=out)
    elif len(terms) == 1:
        _sum_2(base, scale, *terms[0], out)
    else:
        _sum_3(base, scale, *terms[0], *terms[1], out)
        for x, a in terms[2:]:
            _add_term(base, x, a, out)


@compiled
def with_term(total: np.float32, term: np.float32) -> np.float32:
    """total + term, where a zero term leaves a negative zero alone."""
    return total + term if term != np.float32(0) else total


@compiled
def _sum_2(base: Floats, scale: np.float32, x: Floats, a: np.float32, out: Floats) -> None:
    for i in range(out.size):
        out[i] = with_term(scale * base[i], a * (x[i] - base[i]))


@compiled
def _sum_3(base: Floats, scale: np.float32, x: Floats, a: np.float32, y: Floats, b: np.float32, out: Floats) -> None:
    for i in range(out.size):
        first = with_term(scale * base[i], a * (x[i] - base[i]))
        out[i] = with_term(first, b * (y[i] - base[i]))


@compiled
def _add_term(base: Floats, x: Floats, a: np.float32, out: Floats) -> None:
    for i in range(out.size):
        out[i] = with_term(out[i], a * (x[i] - base[i]))


def gram_segment(blocks: Sequence[Floats], anchor: int) -> Sums:
    """Gram matrix (n, n) of {x_k, x_i - x_k} over one segment of at most SEGMENT elements, k = `anchor`.

    Row and column k hold x_k itself. Differences are formed in fp32, products and sums in fp64 (64 lanes).
    """
    base = blocks[anchor]
    others = [i for i in range(len(blocks)) if i != anchor] or [anchor]
    gram = np.empty((len(blocks), len(blocks)))
    for i in others:
        square, mixed, delta = _anchored_sums(base, blocks[i])
        gram[i, i] = delta
        gram[i, anchor] = gram[anchor, i] = mixed
        gram[anchor, anchor] = square
    for i, j in combinations(others, 2):
        gram[i, j] = gram[j, i] = _way_sums(blocks[i], base, blocks[j])[0]
    return gram


@compiled
def _anchored_sums(base: Floats, x: Floats) -> Sums:
    """(|base|^2, base.(x - base), |x - base|^2)."""
    squares, mixed, deltas = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    full = base.size - base.size % LANES
    for i in range(0, full, LANES):
        b, y = base[i : i + LANES], x[i : i + LANES]
        for lane in range(LANES):
            anchor, delta = np.float64(b[lane]), np.float64(np.float32(y[lane] - b[lane]))
            squares[lane] += anchor * anchor
            mixed[lane] += anchor * delta
            deltas[lane] += delta * delta
    for lane in range(base.size - full):
        anchor, delta = np.float64(base[full + lane]), np.float64(np.float32(x[full + lane] - base[full + lane]))
        squares[lane] += anchor * anchor
        mixed[lane] += anchor * delta
        deltas[lane] += delta * delta
    return added((squares, mixed, deltas))


@compiled
def _way_sums(x: Floats, base: Floats, y: Floats) -> Sums:
    """((x - base).(y - base), |y - base|^2)."""
    dots, squares = np.zeros(LANES), np.zeros(LANES)
    full = base.size - base.size % LANES
    for i in range(0, full, LANES):
        u, b, v = x[i : i + LANES], base[i : i + LANES], y[i : i + LANES]
        for lane in range(LANES):
            way = np.float64(np.float32(v[lane] - b[lane]))
            dots[lane] += np.float64(np.float32(u[lane] - b[lane])) * way
            squares[lane] += way * way
    for lane in range(base.size - full):
        way = np.float64(np.float32(y[full + lane] - base[full + lane]))
        dots[lane] += np.float64(np.float32(x[full + lane] - base[full + lane])) * way
        squares[lane] += way * way
    return added((dots, squares))


@compiled
def added(lanes: tuple[Sums, ...]) -> Sums:
    """The lanes of each sum, added in order."""
    sums = np.zeros(len(lanes))
    for row in range(len(lanes)):
        for lane in range(LANES):
            sums[row] += lanes[row][lane]
    return sums
