"""TIES and breadcrumbs on a 4x4 tensor, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from suture.methods.trimming import kept_ranks

Merge = Callable[..., list[Any]]
BASE = [[0.0] * 4] * 4
X = [[8, -7, 6, -5], [4, -3, 2, -1], [1, 1, 1, 1], [0, 0, 0, 0]]
Y = [[-2, -2, 2, 2], [9, 9, -9, -9], [0, 0, 0, 5], [5, 0, 0, 0]]
GIVEN: dict[str, Any] = {"lambda_": 1.0, "normalize": True, "rescale": "none", "int8_mask": False}


def test_trim_elect_and_average(merge: Merge) -> None:
    # X keeps its 8 largest: 8 -7 6 -5 4 -3 2, and of the five 1s the first in its place, the -1.
    # Y keeps its 4 largest: 9 9 -9 -9. Votes in the second row: 13, 6, -7, -10.
    out = merge("ties", BASE, X, Y, weight=(1, 1), density=(0.5, 0.25), **GIVEN)
    assert out == [[8, -7, 6, -5], [6.5, 9, -9, -5], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_the_sum_without_normalisation(merge: Merge) -> None:
    given = {**GIVEN, "normalize": False, "lambda_": 0.5}
    out = merge("ties", BASE, X, Y, weight=(1, 2), density=(0.5, 0.25), **given)
    assert out == [[4, -3.5, 3, -2.5], [11, 9, -9, -9.5], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_l1_makes_up_for_the_trimmed(merge: Merge) -> None:
    given = {**GIVEN, "rescale": "l1"}
    [[first, *_], *_] = merge("ties", BASE, X, weight=(1,), density=(0.25,), **given)
    assert first == np.float32(8 * 40 / 26)  # |X| = 40 in all, 8 + 7 + 6 + 5 kept


def test_breadcrumbs_by_hand(merge: Merge) -> None:
    # gamma 1/8 drops the two largest, 8 and -7; the next 6 are kept: 6 -5 4 -3 2 and the -1
    given = {**GIVEN, "normalize": False}
    out = merge("breadcrumbs", BASE, X, weight=(2,), density=(0.375,), gamma=(0.125,), **given)
    assert out == [[0, 0, 12, -10], [8, -6, 4, -2], [0, 0, 0, 0], [0, 0, 0, 0]]
    both = merge("breadcrumbs_ties", BASE, X, X, weight=(2, -1), density=(0.375, 0.25), gamma=(0.125, 0), **given)
    assert both == [[-8, 7, 12, -10], [8, -6, 4, -2], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_ranks_kept() -> None:
    assert kept_ranks(10, {}, density=(0.05, 0.35, 1.0)).tolist() == [[1, 0], [3, 0], [10, 0]]
    assert kept_ranks(0, {}, density=(0.5,)).tolist() == [[0, 0]]
    # below the largest (1 of 10); all room is needed by 0.95 (9, of which the largest one); nothing dropped at 1
    found = kept_ranks(10, {}, density=(0.5, 0.95, 1.0), gamma=(0.1, 0.2, 0.3))
    assert found.tolist() == [[6, 1], [10, 1], [10, 0]]
