"""The truncated decomposition against numpy's exact one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from suture.numerics.truncated import decompose


def low_rank(shape: tuple[int, int], values: list[float], seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    left = np.linalg.qr(generator.standard_normal((shape[0], len(values))))[0]
    right = np.linalg.qr(generator.standard_normal((shape[1], len(values))))[0]
    return np.asarray((left * values) @ right.T, np.float32)


def split(matrix: np.ndarray, **extent: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return decompose(matrix, float(np.linalg.norm(matrix)), np.uint64(7), **extent)


def test_the_rank_is_the_least_that_holds_the_energy() -> None:
    matrix = low_rank((90, 70), [4, 2, 2, 1])  # squares 16, 4, 4, 1 of 25
    assert [len(split(matrix, energy=e)[1]) for e in (0.5, 0.64, 0.65, 0.96, 0.961, 1.0)] == [1, 1, 2, 3, 4, 4]
    assert len(split(matrix, energy=0.99, rank=2)[1]) == 2
    assert len(split(matrix, rank=30)[1]) == 4  # the rest is zero


@pytest.mark.parametrize("shape", [(200, 120), (120, 200)])
def test_a_sketch_finds_what_the_exact_decomposition_has(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    spectrum = 1 / np.arange(1, 101)
    matrix = low_rank(shape, list(spectrum)) + 1e-4 * generator.standard_normal(shape).astype(np.float32)
    left, values, right = split(matrix, rank=20)
    exact = np.linalg.svd(matrix.astype(np.float64))[1]
    np.testing.assert_allclose(values, exact[:20], rtol=1e-2)
    error = np.linalg.norm(matrix - (left * values) @ right)
    assert error <= 1.01 * math.sqrt((exact[20:] ** 2).sum())
    np.testing.assert_array_equal(split(matrix, rank=20)[0], left)
