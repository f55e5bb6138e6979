from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suture.methods.task_arithmetic import over_base

Merge = Callable[..., list[Any]]
BASE, X, Y = [[1, 1], [1, 1]], [[3, 1], [1, 0]], [[1, 5], [2, 1]]


def test_both_task_vectors(merge: Merge) -> None:
    assert merge("task_arithmetic", BASE, X, Y, weight=(1, 1), lambda_=1.0, normalize=False) == [[3, 5], [2, 0]]


def test_lambda_scales_the_sum(merge: Merge) -> None:
    assert merge("task_arithmetic", BASE, X, Y, weight=(1, 0.5), lambda_=2.0, normalize=False) == [[5, 5], [2, -1]]


def test_normalised_weights(merge: Merge) -> None:
    assert merge("task_arithmetic", BASE, X, Y, weight=(1, 3), lambda_=1.0, normalize=True) == [[1.5, 4], [1.75, 0.75]]


def test_negation_forgets_a_task(merge: Merge) -> None:
    assert merge("task_arithmetic", BASE, X, weight=(-1,), lambda_=1.0, normalize=False) == [[-1, 1], [1, 2]]


def test_coefficients_over_the_base() -> None:
    assert over_base([1.0, 2.0], 0.5, 1.0) == (-0.5, 0.5, 1.0)
