from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from suture import kernels
from suture.methods.dare_linear import factors
from suture.methods.task_vectors import ratios

Merge = Callable[..., list[Any]]
BASE, X, Y = [[1.0] * 4] * 4, [[3.0] * 4] * 4, [[1.0, 1.0, 5.0, 5.0]] * 4
GIVEN: dict[str, Any] = {"lambda_": 1.0, "normalize": False, "rescale": "expectation", "int8_mask": False}


def kept(model: int, density: float) -> Any:
    """Which of the 16 elements the draws keep, for the tensor "w" under seed 0."""
    out = np.empty(16, np.float32)
    ones, zeros = np.ones(16, np.float32), np.zeros(16, np.float32)
    kernels.thinned(ones, zeros, kernels.random_key(0, "w", model), 0, density, out)
    return out.reshape(4, 4)


def test_kept_elements_are_doubled_at_density_one_half(merge: Merge) -> None:
    mask = kept(0, 0.5)
    assert 0 < mask.sum() < 16
    assert merge("dare_linear", BASE, X, weight=(1.0,), density=(0.5,), **GIVEN) == (1 + 4 * mask).tolist()


def test_each_model_has_its_own_draws_weight_and_density(merge: Merge) -> None:
    first, second = kept(0, 0.5), kept(1, 0.25)
    expected = 1 + 0.5 * 4 * first + 2 * (np.array(Y) - 1) * 4 * second
    assert merge("dare_linear", BASE, X, Y, weight=(0.5, 2.0), density=(0.5, 0.25), **GIVEN) == expected.tolist()


def test_l1_keeps_the_norm_of_the_task_vector(merge: Merge) -> None:
    out = merge("dare_linear", BASE, X, weight=(1.0,), density=(0.5,), **{**GIVEN, "rescale": "l1"})
    assert np.abs(np.array(out) - 1).sum() == pytest.approx(32)  # |X - BASE| = 2 in 16 places


def test_factors() -> None:
    assert factors(density=(0.5, 0.25), rescale="expectation") == [2, 4]
    assert factors(density=(0.5, 0.25), rescale="none") == [1, 1]
    assert ratios(np.array([[6.0, 1.0, 0.0], [2.0, 0.0, 0.0]])) == [3, 1, 1]


def test_only_those_of_the_elected_sign_are_summed(merge: Merge) -> None:
    """dare_ties: 3 - 1 votes up by 2 and Z down by 4 where both are kept; each alone elsewhere."""
    z = [[-3.0] * 4] * 4
    up, down = kept(0, 0.5), kept(1, 0.25)
    expected = np.where(up * 4 + down * -16 >= 0, 1 + 4 * up, 1 - 16 * down)
    assert merge("dare_ties", BASE, X, z, weight=(1.0, 1.0), density=(0.5, 0.25), **GIVEN) == expected.tolist()
