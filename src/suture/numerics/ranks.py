"""The probability with which each rank of a row is kept; needs no torch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def rank_probabilities(columns: int, density: float, epsilon: float) -> NDArray[np.float64]:
    """(columns,): evenly from density - epsilon (the least magnitude) to density + epsilon, clipped to [0, 1].

    A row of one has the probability `density`.
    """
    steps = np.arange(columns) / max(columns - 1, 1)
    found = np.clip(density - epsilon + 2.0 * epsilon * steps, 0.0, 1.0) if columns > 1 else np.array([density])
    found.flags.writeable = False  # kept for the next block
    return found
