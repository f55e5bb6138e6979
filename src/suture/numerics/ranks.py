"""The probability with which each rank of a row is kept; needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rank_probabilities(columns: int, density: float, epsilon: float) -> NDArray[np.float64]:
    """(columns,): evenly from density - epsilon (the least magnitude) to density + epsilon, clipped to [0, 1].

    A row of one has the probability `density`.
    """
    if columns == 1:
        return np.array([density])
    steps = np.arange(columns) / (columns - 1)
    return np.clip(density - epsilon + 2.0 * epsilon * steps, 0.0, 1.0)
