from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from suture import kernels
from suture.methods.della import outside

Merge = Callable[..., list[Any]]
BASE = [[1.0] * 4] * 4
X = [[2.0, 3.0, 4.0, 5.0]] * 4  # in each row differences 1 2 3 4, probabilities 0.3 0.4 0.5 0.6
GIVEN: dict[str, Any] = {"lambda_": 1.0, "normalize": False, "int8_mask": False, "density": (0.45,), "epsilon": (0.15,)}


def kept() -> Any:
    """What the draws of 0.3, 0.4, 0.5, 0.6 keep: element by element a mask of one density."""
    masks = []
    for density in (0.3, 0.4, 0.5, 0.6):
        out = np.empty(16, np.float32)
        key = kernels.random_key(0, "w", 0)
        kernels.thinned(np.ones(16, np.float32), np.zeros(16, np.float32), key, 0, density, out)
        masks.append(out.reshape(4, 4))
    return np.stack([masks[column][:, column] for column in range(4)], axis=1)


def test_small_elements_are_dropped_more_often(merge: Merge) -> None:
    delta = np.array(X) - 1
    assert 0 < kept().sum() < 16
    for method in ("della", "della_linear"):
        out = merge(method, BASE, X, weight=(1.0,), rescale="none", **GIVEN)
        assert out == (1 + delta * kept()).tolist()


def test_expectation_divides_by_each_probability(merge: Merge) -> None:
    out = merge("della_linear", BASE, X, weight=(1.0,), rescale="expectation", **GIVEN)
    np.testing.assert_allclose(out, 1 + kept() * [1 / 0.3, 2 / 0.4, 3 / 0.5, 4 / 0.6], rtol=1e-6)


def test_probabilities_must_lie_inside() -> None:
    assert outside({"density": (0.5, 1.0), "epsilon": (0.4, 0.4)}) == []
    assert outside({"density": (0.1, 0.9), "epsilon": (0.1, 0.2)}) == [
        "density - epsilon and density + epsilon must lie in (0, 1) where density is not 1. Got 0.1 and 0.1.",
        "density - epsilon and density + epsilon must lie in (0, 1) where density is not 1. Got 0.9 and 0.2.",
    ]
