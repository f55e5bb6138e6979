"""SCE, RAM, Arcee Fusion and passthrough, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from suture.methods.arcee_fusion import around, threshold
from suture.methods.ramplus_tl import factors

Merge = Callable[..., list[Any]]
BASE = [[0.0] * 4] * 4
X = [[2, 2, 0, 0], [0, 0, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1]]
Y = [[2, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_sce_weighs_by_squares_and_erases_the_minority(merge: Merge) -> None:
    # squares 4 + 4 + 16 + 1 = 25 and 4 + 1 + 1 = 6; at place 1 the vote is 2 - 1, X alone agrees
    out = merge("sce", BASE, X, Y, select_topk=1.0, int8_mask=False)
    assert np.array(out) == pytest.approx(np.array([[2, 2, 0, 0], [0, 0, 1, 0], [4, 0, 0, 0], [0, 0, 0, 1]]))


def test_sce_selects_the_places_of_largest_variance(merge: Merge) -> None:
    # variances 9/4 at place 1, 1/4 at place 6, 4 at place 8, 1/4 at place 15; half of four places
    out = merge("sce", BASE, X, Y, select_topk=0.5, int8_mask=False)
    assert np.array(out) == pytest.approx(np.array([[0, 2, 0, 0], [0, 0, 0, 0], [4, 0, 0, 0], [0, 0, 0, 0]]))


def test_sce_mean_of_those_that_agree(merge: Merge) -> None:
    # squares 9 and 1: weights 0.9 and 0.1
    assert merge("sce", [[0, 0]], [[3, 0]], [[1, 0]], select_topk=1.0, int8_mask=False) == [[pytest.approx(2.8), 0]]


def test_ram_averages_over_those_that_changed(merge: Merge) -> None:
    out = merge("ram", BASE, X, Y, epsilon=1e-5)
    assert out == [[2, 0.5, 0, 0], [0, 0, 1, 0], [4, 0, 0, 0], [0, 0, 0, 1]]
    assert merge("ram", [[0.0, 0.0]], [[0.5, 2.0]], epsilon=0.5) == [[0, 2]]


def test_ram_plus_amplifies_what_is_its_own(merge: Merge) -> None:
    # X: 2 shared, 2 alone, ratio 1; Y: 2 shared, 1 alone, ratio 2
    assert factors(np.array([[2, 1, 0], [2, 2, 5]]), 0.5, 1.5) == [1.5, 1.75, 1]
    out = merge("ramplus_tl", BASE, X, Y, epsilon=1e-5, r=0.5, alpha=1.5)
    assert out == [[2, 0.5, 0, 0], [0, 0, 1.75, 0], [6, 0, 0, 0], [0, 0, 0, 1.5]]


def test_arcee_fusion_takes_what_stands_out(merge: Merge) -> None:
    base = np.zeros((4, 4), np.float32)
    x = np.full((4, 4), 0.01, np.float32)
    x[:, 0], x[2, 1] = 0.02, 1.0  # one row differs in shape from the base's by far, and in it one element
    out = np.array(merge("arcee_fusion", base.tolist(), x.tolist()))
    assert out[2, 1] == 1.0
    assert (out[[0, 1, 3]] == 0).all()


def test_quartiles_lie_between_ranks() -> None:
    # of 0..7 the quartiles are 1.75, 3.5 and 5.25: threshold 3.5 + 1.5 * 3.5 = 8.75
    assert around(8, {}).tolist() == [[7, 6, 5, 4, 3, 2]]
    bits = threshold(np.array([1, 2, 3, 4, 5, 6], np.float32), 8)
    assert np.uint32(bits).view(np.float32) == 8.75


def test_passthrough(merge: Merge) -> None:
    assert merge("passthrough", [[1.0, -0.0]], scale=(1.0,)) == [[1, 0]]
    assert merge("passthrough", [[1.0, 3.0]], scale=(0.5,)) == [[0.5, 1.5]]
