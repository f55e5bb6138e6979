"""Steps of elementwise methods: distances, nearswap, variances, importances."""

from __future__ import annotations

from collections.abc import Sequence

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
    add_l1(x, kept, base, whole, left)
    return added((whole, left))


@compiled
def add_l1(x: Floats, kept: Floats, base: Floats, whole: Sums, left: Sums) -> None:
    """Add |x - base| and |kept - base| to the lanes of both sums; all but the last part hold a multiple of LANES."""
    full = x.size - x.size % LANES
    for i in range(0, full, LANES):
        u, v, b = x[i : i + LANES], kept[i : i + LANES], base[i : i + LANES]
        for lane in range(LANES):
            whole[lane] += np.float64(abs(np.float32(u[lane] - b[lane])))
            left[lane] += np.float64(abs(np.float32(v[lane] - b[lane])))
    for lane in range(x.size - full):
        whole[lane] += np.float64(abs(np.float32(x[full + lane] - base[full + lane])))
        left[lane] += np.float64(abs(np.float32(kept[full + lane] - base[full + lane])))


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


def variances(base: Floats, models: Sequence[Floats], out: Floats) -> None:
    """The (population) variance of the differences to the base at each place, differences in fp32, the rest in fp64."""
    _vary(base, np.stack(models), out)


@compiled
def _vary(base: Floats, models: Floats, out: Floats) -> None:
    count = np.float64(models.shape[0])
    for i in range(base.size):
        mean, variance = np.float64(0), np.float64(0)
        for model in range(models.shape[0]):
            mean += np.float64(models[model, i] - base[i])
        mean /= count
        for model in range(models.shape[0]):
            delta = np.float64(models[model, i] - base[i]) - mean
            variance += delta * delta
        out[i] = np.float32(variance / count)


def importances(x: Floats, base: Floats, columns: int, out: Floats) -> None:
    """|x - base| KL(p | q), p and q the softmax of its row in `x` and `base`, plus 1e-8; softmax and KL in fp64."""
    if columns:
        shape = (-1, columns)
        _weigh(x.reshape(shape), base.reshape(shape), out.reshape(shape))


@compiled
def _weigh(x: Floats, base: Floats, out: Floats) -> None:
    p, q = np.empty(x.shape[1]), np.empty(x.shape[1])
    for row in range(x.shape[0]):
        _softmax(x[row], p)
        _softmax(base[row], q)
        divergence = 0.0
        for i in range(p.size):
            if p[i] != q[i]:
                divergence += p[i] * np.log(p[i] / q[i])
        for i in range(p.size):
            out[row, i] = np.float32(np.float64(abs(x[row, i] - base[row, i])) * max(divergence, 0.0))


@compiled
def _softmax(row: Floats, out: Sums) -> None:
    top, total = row.max(), 0.0
    for i in range(row.size):
        out[i] = np.exp(np.float64(row[i] - top))
        total += out[i]
    for i in range(row.size):
        out[i] = out[i] / total + 1e-8
