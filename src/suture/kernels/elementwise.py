"""Steps of elementwise methods: keyed masks, distances, nearswap."""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import LANES, Floats, Sums, compiled
from suture.kernels.span import added, with_term
from suture.kernels.stored import draw
from suture.numerics.keys import keep_threshold


def empty_like(block: Floats) -> Floats:
    """A new block of the same length, with arbitrary content."""
    return np.empty_like(block)


def thinned(values: Floats, base: Floats, key: np.uint64, start: int, density: float) -> Floats:
    """`values` where a draw keeps the element (probability `density`, index `start + i`), `base` elsewhere."""
    out = np.empty_like(values)
    _thin(values, base, key, np.uint64(start), keep_threshold(density), out)
    return out


@compiled
def _thin(values: Floats, base: Floats, key: np.uint64, start: np.uint64, threshold: np.uint64, out: Floats) -> None:
    for i in range(out.size):
        kept = (draw(key, start + np.uint64(i)) >> np.uint64(11)) < threshold
        out[i] = values[i] if kept else base[i]


def l1_distance(x: Floats, y: Floats) -> float:
    """Sum of |x - y| over one segment: differences in fp32, the sum in fp64 (64 lanes)."""
    return float(_l1(x, y)[0])


@compiled
def _l1(x: Floats, y: Floats) -> Sums:
    lanes = np.zeros(LANES)
    full = x.size - x.size % LANES
    for i in range(0, full, LANES):
        for lane in range(LANES):
            lanes[lane] += np.float64(abs(np.float32(x[i + lane] - y[i + lane])))
    for lane in range(x.size - full):
        lanes[lane] += np.float64(abs(np.float32(x[full + lane] - y[full + lane])))
    return added((lanes,))


def nearswap(base: Floats, x: Floats, threshold: float, out: Floats) -> None:
    """base + w (x - base), w = clip(threshold / max(|x - base|, 1e-6), 0, 1), in fp32; exactly x where w = 1."""
    _nearswap(base, x, np.float32(threshold), np.float32(1e-6), out)


@compiled
def _nearswap(base: Floats, x: Floats, threshold: np.float32, floor: np.float32, out: Floats) -> None:
    one = np.float32(1)
    for i in range(out.size):
        delta = x[i] - base[i]
        weight = threshold / max(abs(delta), floor)
        out[i] = x[i] if weight >= one else with_term(base[i], weight * delta)
