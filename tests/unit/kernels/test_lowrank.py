"""Low-rank updates against float64, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.kernels.lowrank import NONE, add_column_squares, add_low_rank, add_row_squares


def floats(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return generator.standard_normal(shape).astype(np.float32)


@given(rows=st.integers(1, 6), columns=st.integers(1, 9), rank=st.integers(1, 5), seed=st.integers(0, 99))
def test_any_stretch_is_that_of_the_exact_matrix(rows: int, columns: int, rank: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    w, left, right = floats(generator, rows, columns), floats(generator, rows, rank), floats(generator, rank, columns)
    by_row, by_column = generator.random(rows) + 0.5, generator.random(columns) + 0.5
    start = int(generator.integers(0, w.size))
    count = int(generator.integers(0, w.size - start + 1))
    total = np.zeros((rows, columns))
    for k in range(rank):  # the order of the kernel, for which products of fp32 are exact in fp64
        total += left[:, k : k + 1].astype(np.float64) * right[k].astype(np.float64)
    exact = w.astype(np.float64) + 0.7 * total
    for factors, expected in (
        ((NONE, NONE), exact),
        ((by_row, NONE), by_row[:, None] * exact),
        ((NONE, by_column), by_column * exact),
    ):
        out = w.ravel()[start : start + count].copy()
        add_low_rank(out, start, left, right, 0.7, *factors)
        np.testing.assert_array_equal(out, expected.astype(np.float32).ravel()[start : start + count])


def test_rows_wider_than_a_tile() -> None:
    generator = np.random.default_rng(0)
    left, right = floats(generator, 2, 3), floats(generator, 3, 5000)
    out = np.zeros(7000, np.float32)
    add_low_rank(out, 1500, left, right, 1.0)
    exact = (left.astype(np.float64) @ right.astype(np.float64)).ravel()[1500:8500]
    np.testing.assert_allclose(out, exact, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("add", "expected"), [(add_row_squares, [13.0, 77.0]), (add_column_squares, [25.0, 20.0, 45.0])]
)
def test_squares(add: object, expected: list[float]) -> None:
    sums = np.zeros(len(expected))
    values = np.array([2, 3, 5, 4, 6], np.float32)  # of rows (., 2, 3) and (5, 4, 6)
    add(values, 1, 3, sums)  # type: ignore[operator]
    assert sums.tolist() == expected
