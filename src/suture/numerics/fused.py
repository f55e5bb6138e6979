"""Round, store and measure the realised coefficient, in PyTorch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from suture.numerics.stored import narrow, widen


def finish(
    values: Tensor,
    general: Tensor,
    clinical: Tensor,
    dtype: str,
    *,
    rounding: str,
    key: np.uint64,
    start: int,
    out: Tensor,
    back: Tensor,
    sums: NDArray[np.float64],
) -> None:
    """Round and store; add |d|^2, (values - general).d and (stored - values).d to `sums`, d = clinical - general."""
    narrow(values, dtype, out, rounding=rounding, key=key, start=start)
    widen(out, dtype, back)
    way = (clinical - general).double()
    for row, other in enumerate((way, (values - general).double(), (back - values).double())):
        sums[row] += float(way @ other)
