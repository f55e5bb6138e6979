from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suture.methods.registry import get_method

Merge = Callable[..., list[Any]]
X, Y, Z = [[4, 0], [0, 8]], [[0, 4], [0, 16]], [[-8, 0], [4, 0]]


def test_normalised(merge: Merge) -> None:
    assert merge("linear", X, Y, weight=(1, 3), normalize=True) == [[1, 3], [0, 14]]
    assert merge("linear", X, Y, Z, weight=(1, 2, 1), normalize=True) == [[-1, 2], [1, 10]]


def test_raw_sum(merge: Merge) -> None:
    assert merge("linear", X, Y, weight=(1, 3), normalize=False) == [[4, 12], [0, 56]]


def test_extrapolation(merge: Merge) -> None:
    assert merge("linear", X, Y, weight=(-0.5, 1.5), normalize=True) == [[-2, 6], [0, 20]]


def test_weights_that_cancel_are_refused_when_normalised() -> None:
    check = get_method("linear").info.check
    assert check({"weight": (1.0, -1.0), "normalize": True}) == [
        "The weights must not add up to 0 when normalize is true. Got [1.0, -1.0]."
    ]
    assert check({"weight": (1.0, -1.0), "normalize": False}) == []
    assert check({"weight": (1.0, 1.0), "normalize": True}) == []
