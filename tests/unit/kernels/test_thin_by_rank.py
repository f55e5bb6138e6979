from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from suture import kernels
from suture.kernels.thin_by_rank import SHORT
from suture.numerics.ranks import rank_probabilities

Floats = NDArray[np.float32]
KEY = kernels.random_key(0, "tensor", 0)


def draws(count: int, start: int) -> NDArray[np.int64]:
    """The 32 bits of each element, one by one: the largest density whose mask does not keep it."""
    words = []
    for i in range(count):
        index = start + i
        z = (int(KEY) + (index // 2 + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        words.append(((z ^ z >> 31) >> 32 * (index % 2)) % 2**32)
    return np.array(words, np.int64)


def by_sorting(x: Floats, base: Floats, start: int, columns: int, density: float, epsilon: float) -> Floats:
    thresholds = (rank_probabilities(columns, density, epsilon) * 2.0**32).astype(np.int64)
    delta = np.abs(x - base).reshape(-1, columns)
    ranks = np.argsort(np.argsort(delta, axis=1, kind="stable"), axis=1, kind="stable")
    kept = draws(x.size, start) < thresholds[ranks].reshape(-1)
    return np.where(kept, x, base)


@pytest.mark.parametrize("columns", [SHORT, 700, 2047])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.45])
@pytest.mark.parametrize("kind", ["plain", "half equal", "few values", "all equal", "wide"])
def test_rows_of_any_kind_are_thinned_as_sorting_would(columns: int, epsilon: float, kind: str) -> None:
    generator = np.random.default_rng(columns)
    base = generator.standard_normal(4 * columns).astype(np.float32)
    delta = generator.standard_normal(base.size).astype(np.float32)
    if kind == "half equal":
        delta *= generator.random(base.size) < 0.5
    elif kind == "few values":
        base[:], delta = 0, np.round(2 * delta) / 4
    elif kind == "all equal":
        delta[:] = 0
    elif kind == "wide":
        base[:], delta = 0, delta * np.float32(2) ** generator.integers(-60, 60, base.size).astype(np.float32)
    x = (base + delta).astype(np.float32)
    out = np.empty_like(x)
    kernels.thinned_by_rank(x, base, KEY, 4 * columns, columns, 0.5, epsilon, False, out)
    expected = by_sorting(x, base, 4 * columns, columns, 0.5, epsilon)
    assert np.array_equal(out, expected)


def test_a_probability_of_1_keeps_all() -> None:
    x = np.arange(1, 2 * SHORT + 1, dtype=np.float32)
    out = np.empty_like(x)
    kernels.thinned_by_rank(x, np.zeros_like(x), KEY, 0, SHORT, 1.0, 0.0, False, out)
    assert np.array_equal(out, x)
