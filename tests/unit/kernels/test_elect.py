from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from suture import kernels

BASE = [10.0, 10, 10, 10]
KEPT = [[12.0, 8, 11, 10], [13.0, 14, 9, 10], [7.0, 10, 10, 10]]  # differences 2 -2 1 0; 3 4 -1 0; -3 0 0 0


def elected(weight: Any, factor: Any = (1, 1, 1), lambda_: float = 1.0, normalize: bool = False) -> list[float]:
    out = np.empty(4, np.float32)
    kept: NDArray[np.float32] = np.array(KEPT, np.float32)
    kernels.elected(np.array(BASE, np.float32), kept, weight, factor, lambda_, normalize, out)
    return list(out)


def test_by_hand() -> None:
    # votes 2 + 3 - 3 > 0, -2 + 4 > 0, 1 - 1 = 0 (positive), 0
    assert elected((1, 1, 1)) == [15, 14, 11, 10]
    assert elected((1, 1, 1), normalize=True) == [12.5, 14, 11, 10]
    assert elected((1, 1, 1), lambda_=0.5) == [12.5, 12, 10.5, 10]


def test_weights_vote() -> None:
    # 3 * 2 + 3 - 3 > 0, -6 + 4 < 0, 3 - 1 > 0
    assert elected((3, 1, 1)) == [19, 4, 13, 10]
    assert elected((3, 1, 1), normalize=True) == [pytest.approx(12.25), 8, 11, 10]


def test_factors_scale_but_do_not_divide() -> None:
    # (4 + 3) / 2, -4 + 4 = 0 votes up, 2
    assert elected((1, 1, 1), (2, 1, 1), normalize=True) == [13.5, 14, 12, 10]


def test_a_negative_weight_turns_the_vote() -> None:
    assert elected((1, 1, -1)) == [18, 14, 11, 10]


def test_weights_that_cancel_divide_by_one() -> None:
    # at place 1 the terms -1 * -2 and 1 * 4 agree, and their weights add up to 0
    assert elected((-1, 1, 0), normalize=True)[1] == 16


def test_one_that_alone_agrees_keeps_its_bits() -> None:
    base, x = np.array([1.0, -0.0, 1.0], np.float32), np.array([1e-10, 0.0, -0.0], np.float32)
    out = np.empty(3, np.float32)
    kernels.elected(base, np.stack([x, base]), (1, 1), (1, 1), 1.0, True, out)
    assert out.view(np.uint32).tolist() == [x.view(np.uint32)[0], 0x80000000, 0x80000000]


def test_any_length() -> None:
    for size in (0, 1, 1023, 1024, 1025, 5000):
        base, x = np.zeros(size, np.float32), np.arange(size, dtype=np.float32)
        out = np.empty(size, np.float32)
        kernels.elected(base, np.stack([x, x]), (1, 1), (1, 1), 2.0, False, out)
        assert (out == 4 * x).all()
