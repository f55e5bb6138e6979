from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Merge = Callable[..., list[Any]]
BASE = [[1.0, 1.0], [1.0, 1.0]]


def test_orthogonal_task_vectors_give_the_base(merge: Merge) -> None:
    assert merge("model_stock", BASE, [[3, 1], [1, 1]], [[1, 3], [1, 1]], filter_wise=False) == BASE


def test_sixty_degrees_between_two(merge: Merge) -> None:
    # cos = 1/2, t = 2/2 / (3/2) = 2/3: differences (2, 2, 0, 0) and (2, 0, 2, 0), mean (2, 1, 1, 0)
    out = merge("model_stock", BASE, [[3, 3], [1, 1]], [[3, 1], [3, 1]], filter_wise=False)
    assert out == [[pytest.approx(7 / 3), pytest.approx(5 / 3)], [pytest.approx(5 / 3), 1]]


def test_three_models(merge: Merge) -> None:
    # pairs at cos 1, 0, 0: mean 1/3, t = 1 / (1 + 2/3) = 3/5; mean difference (4/3, 2/3)
    out = merge("model_stock", [[0, 0]], [[2, 0]], [[2, 0]], [[0, 2]], filter_wise=False)
    assert out == [[pytest.approx(0.8), pytest.approx(0.4)]]


def test_each_row_has_its_own_way(merge: Merge) -> None:
    out = merge("model_stock", BASE, [[3, 1], [3, 1]], [[1, 3], [3, 1]], filter_wise=True)
    assert out == [[1, 1], [3, 1]]


def test_opposed_task_vectors_give_the_base(merge: Merge) -> None:
    # cos = -1: the divisor vanishes
    assert merge("model_stock", BASE, [[3, 1], [1, 1]], [[-1, 1], [1, 1]], filter_wise=False) == BASE
