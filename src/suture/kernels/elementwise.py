"""Steps of elementwise methods: distances, nearswap."""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import LANES, Floats, Sums, compiled
from suture.kernels.span import added, with_term


def empty_like(block: Floats) -> Floats:
    """A new block of the same length, with arbitrary content."""
    return np.empty_like(block)


def l1_distances(x: Floats, kept: Floats, base: Floats) -> tuple[float, float]:
    """Sums of |x - base| and of |kept - base| over one segment: differences in fp32, sums in fp64 (64 lanes)."""
    whole, left = _l1(x, kept, base)
    return float(whole), float(left)


@compiled
def _l1(x: Floats, kept: Floats, base: Floats) -> Sums:
    whole, left = np.zeros(LANES), np.zeros(LANES)
    full = x.size - x.size % LANES
    for i in range(0, full, LANES):
        u, v, b = x[i : i + LANES], kept[i : i + LANES], base[i : i + LANES]
        for lane in range(LANES):
            whole[lane] += np.float64(abs(np.float32(u[lane] - b[lane])))
            left[lane] += np.float64(abs(np.float32(v[lane] - b[lane])))
    for lane in range(x.size - full):
        whole[lane] += np.float64(abs(np.float32(x[full + lane] - base[full + lane])))
        left[lane] += np.float64(abs(np.float32(kept[full + lane] - base[full + lane])))
    return added((whole, left))


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
