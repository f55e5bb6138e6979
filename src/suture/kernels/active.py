"""Which models differ from the base at all: places that one alone changed, places that several share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Floats, compiled
from suture.kernels.span import with_term


def active_counts(base: Floats, models: Sequence[Floats], epsilon: float) -> NDArray[np.int64]:
    """(2, models): at how many places each model alone, and with others, differs from the base by over epsilon."""
    return _count(base, np.stack(models), np.float32(epsilon))


@compiled
def _count(base: Floats, models: Floats, epsilon: np.float32) -> NDArray[np.int64]:
    counts = np.zeros((2, models.shape[0]), np.int64)
    for i in range(base.size):
        active = 0
        for model in range(models.shape[0]):
            active += abs(models[model, i] - base[i]) > epsilon
        for model in range(models.shape[0]):
            if abs(models[model, i] - base[i]) > epsilon:
                counts[min(active - 1, 1), model] += 1
    return counts


def active_means(base: Floats, models: Sequence[Floats], epsilon: float, factors: Sequence[float], out: Floats) -> None:
    """base + the mean of the differences over epsilon; times the model's factor where it is the only one; fp32.

    Where one alone differs, with factor 1, the result is its own bits.
    """
    _mean(base, np.stack(models), np.float32(epsilon), np.array(factors, np.float32), out)


@compiled
def _mean(base: Floats, models: Floats, epsilon: np.float32, factors: Floats, out: Floats) -> None:
    for i in range(base.size):
        active, last, total = 0, 0, np.float32(0)
        for model in range(models.shape[0]):
            delta = models[model, i] - base[i]
            if abs(delta) > epsilon:
                active += 1
                last = model
                total += delta
        if active == 1 and factors[last] == np.float32(1):
            out[i] = models[last, i]
        elif active == 1:
            out[i] = with_term(base[i], factors[last] * total)
        elif active > 1:
            out[i] = with_term(base[i], total / np.float32(active))
        else:
            out[i] = base[i]
