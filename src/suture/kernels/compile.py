"""How the loops are compiled: without the interpreter lock, without fast-math, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Bits = NDArray[Any]

LANES = 64
"""Explicit lanes of every float64 sum, added in order at the end: the bits do not depend on the processor."""

TILE = 2048
"""Elements that a fused loop works on at a time: everything about them stays in the first-level cache."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compiled(loop: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a loop when it is first called, and keep it on disk where numba finds a folder that can be written.

    The one place where numba's untyped decorator is used.
    """
    made: Callable[_P, _R]
    try:
        made = numba.njit(nogil=True, error_model="numpy", cache=True)(loop)
    except RuntimeError:  # no such folder, as in a read-only container
        made = numba.njit(nogil=True, error_model="numpy")(loop)
    return made
