"""NuSLERP, multislerp and karcher, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest

from suture.methods.gram import Gram
from suture.methods.karcher import spherical_mean
from suture.methods.multislerp import problems
from suture.methods.nuslerp import takes_arc

Merge = Callable[..., list[Any]]
HALF = sqrt(0.5)  # sin(45) / sin(90)
FLAT: dict[str, Any] = {"nuslerp_flatten": True, "nuslerp_row_wise": False}
ROWS: dict[str, Any] = {"nuslerp_flatten": False, "nuslerp_row_wise": False}
COLUMNS: dict[str, Any] = {"nuslerp_flatten": False, "nuslerp_row_wise": True}
MULTI: dict[str, Any] = {"normalize_weights": True, "eps": 1e-8}


def near(*rows: list[float]) -> Any:
    return pytest.approx(np.array(rows), abs=1e-6)


def test_nuslerp_at_a_right_angle(merge: Merge) -> None:
    assert np.array(merge("nuslerp", [[2, 0], [0, 0]], [[0, 0], [0, 4]], weight=(2, 2), **FLAT)) == near(
        [2 * HALF, 0], [0, 4 * HALF]
    )


def test_nuslerp_on_task_vectors(merge: Merge) -> None:
    # differences (2, 0) and (0, 2): a third of the way is sin(60) and sin(30) of each
    out = merge("nuslerp", [[1, 1]], [[3, 1]], [[1, 3]], weight=(2, 1), **FLAT)
    assert np.array(out) == near([1 + 2 * sqrt(0.75), 2])


def test_rows_and_columns_have_angles_of_their_own(merge: Merge) -> None:
    x, y = [[2, 0], [3, 0]], [[0, 2], [6, 0]]  # first rows at a right angle, second rows in line
    assert np.array(merge("nuslerp", x, y, weight=(1, 1), **ROWS)) == near([2 * HALF, 2 * HALF], [4.5, 0])
    # columns (2, 3), (0, 6) at cos = 3 / sqrt 13: sin(a/2) / sin(a) = 1 / (2 cos(a/2)); a zero one is at a right angle
    factor = 1 / (2 * sqrt((1 + 3 / sqrt(13)) / 2))
    assert np.array(merge("nuslerp", x, y, weight=(1, 1), **COLUMNS)) == near([2 * factor, 2 * HALF], [9 * factor, 0])


def test_nuslerp_of_weights_that_cancel_is_half_way(merge: Merge) -> None:
    assert merge("nuslerp", [[2.0, 2.0]], [[4.0, 4.0]], weight=(1, -1), **FLAT) == [[3, 3]]


def test_arcs_are_told_from_straight_lines() -> None:
    assert not takes_arc(Gram(np.array([[1.0, 1.0], [1.0, 1.0]]), 0))  # x and 2 x
    assert takes_arc(Gram(np.array([[1.0, -1.0], [-1.0, 2.0]]), 0))  # orthogonal


def test_multislerp_keeps_the_mean_norm(merge: Merge) -> None:
    # directions (1, 0) and (0, 1), mean direction (1, 1) / sqrt 2, mean norm 3
    out = merge("multislerp", [[2, 0]], [[0, 4]], weight=(1, 1), **MULTI)
    assert np.array(out) == near([3 * HALF, 3 * HALF])
    with_base = merge("multislerp", [[1, 1]], [[3, 1]], [[1, 5]], weight=(1, 1), **MULTI)
    assert np.array(with_base) == near([1 + 3 * HALF, 1 + 3 * HALF])


def test_multislerp_of_opposed_vectors_is_their_sum(merge: Merge) -> None:
    assert merge("multislerp", [[2.0, 0.0]], [[-2.0, 0.0]], weight=(1, 1), **MULTI) == [[0, 0]]
    assert merge("multislerp", [[2.0, 1.0]], weight=(3,), **MULTI) == [[2, 1]]
    assert problems({"weight": (1.0, -1.0), "normalize_weights": True}) == [
        "The weights must not add up to 0 when normalize_weights is true. Got [1.0, -1.0]."
    ]


def test_karcher_of_three_axes(merge: Merge) -> None:
    out = merge("karcher", [[3, 0, 0]], [[0, 3, 0]], [[0, 0, 3]], max_iter=10, tol=1e-5)
    assert np.array(out) == near([sqrt(3), sqrt(3), sqrt(3)])


def test_karcher_moves_towards_the_many(merge: Merge) -> None:
    # twice at 0 degrees, once at 90: the mean angle is 30 (the mean direction alone would give 26.6)
    assert spherical_mean(np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]), 10, 1e-9)[2] == pytest.approx(0.5)


def test_a_zero_vector_counts_in_the_norm_alone(merge: Merge) -> None:
    assert merge("karcher", [[4.0, 0.0]], [[0.0, 0.0]], max_iter=10, tol=1e-5) == [[2, 0]]
    assert merge("karcher", [[0.0]], [[0.0]], max_iter=10, tol=1e-5) == [[0]]
