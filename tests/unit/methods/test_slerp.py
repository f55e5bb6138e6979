from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest

from suture.methods.gram import Gram
from suture.methods.slerp import takes_arc, weights

Merge = Callable[..., list[Any]]


def gram_of(x: list[float], y: list[float]) -> Gram:
    kept = np.array([x, np.subtract(y, x)])
    return Gram(kept @ kept.T, 0)


def test_a_right_angle(merge: Merge) -> None:
    half = sqrt(0.5)  # sin(45) / sin(90)
    assert merge("slerp", [[1, 0], [0, 0]], [[0, 0], [0, 3]], t=0.5) == [
        [pytest.approx(half), 0],
        [0, pytest.approx(3 * half)],
    ]


def test_sixty_degrees() -> None:
    # t = 1/3: sin(40 degrees) / sin(60) and sin(20) / sin(60)
    found = weights(gram_of([2.0, 0.0], [1.0, sqrt(3.0)]), 2, t=1 / 3)
    assert found == pytest.approx((0.742227, 0.394931), abs=1e-6)


def test_small_angles_are_straight() -> None:
    narrow, wide = gram_of([1.0, 0.0], [1.0, 0.0316]), gram_of([1.0, 0.0], [1.0, 0.0317])  # cos 0.999501, 0.999498
    assert weights(narrow, 2, t=0.25) == (0.75, 0.25)
    assert not takes_arc(narrow)
    assert weights(wide, 2, t=0.25) != (0.75, 0.25)
    assert takes_arc(wide)


def test_opposite_vectors_are_straight() -> None:
    assert weights(gram_of([1.0, 0.0], [-2.0, 0.0]), 2, t=0.25) == (0.75, 0.25)


def test_a_zero_vector_counts_as_at_a_right_angle() -> None:
    assert weights(gram_of([0.0, 0.0], [3.0, 0.0]), 2, t=0.5) == pytest.approx((sqrt(0.5), sqrt(0.5)))
