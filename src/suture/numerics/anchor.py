"""The rules of summation on which the kernels and the PyTorch steps agree; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np
from numpy.typing import NDArray

SEGMENT = 2**16
"""Elements of one segment of a float64 sum; segments are counted from the start of the tensor and added in order."""

UNIT_TOLERANCE = 1e-12
"""Coefficients whose sum lies this close to 1 add up to 1."""


def anchored(coefficients: Sequence[float]) -> tuple[int, float]:
    """The index of the coefficient of largest magnitude (the lowest at a tie), and the sum of all, snapped to 1."""
    anchor = max(range(len(coefficients)), key=lambda i: abs(coefficients[i]))
    total = fsum(coefficients)
    return anchor, 1.0 if abs(total - 1.0) < UNIT_TOLERANCE else total


def anchored_groups(coefficients: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The same for each row of `coefficients` (groups, inputs): (groups,) indices and sums."""
    totals = coefficients.sum(axis=1)
    return np.abs(coefficients).argmax(axis=1), np.where(np.abs(totals - 1.0) < UNIT_TOLERANCE, 1.0, totals)
