"""Stored bits <-> float32, rounded to nearest or stochastically, in PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from suture.numerics.random import shifted_right, words

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_GRIDS = {"BF16": (8, -125), "F16": (11, -13)}
"""Significant bits, and the least exponent e of a normal number m 2**e with m in [0.5, 1)."""


def widen(raw: Tensor, dtype: str, out: Tensor) -> None:
    """Stored bits of `dtype` (integers of its width) into float32."""
    out.copy_(raw.view(_DTYPES[dtype]))


def narrow(values: Tensor, dtype: str, out: Tensor, *, rounding: str, key: np.uint64, start: int) -> None:
    """Float32 into the stored bits of `dtype`, rounded "nearest" (ties to even) or "stochastic"."""
    if rounding == "stochastic" and dtype in _GRIDS:
        values = _on_grid(values, dtype, _uniform(key, start, values))
    out.view(_DTYPES[dtype]).copy_(values)


def _on_grid(values: Tensor, dtype: str, draw: Tensor) -> Tensor:
    """The neighbour on the grid of `dtype`, away from zero with the probability of the fraction of the step gone."""
    digits, least = _GRIDS[dtype]
    magnitude = values.abs().double()
    exponent = torch.frexp(values).exponent.clamp(min=least) - digits
    steps = torch.ldexp(magnitude, -exponent)
    whole = steps.floor()
    rounded = torch.ldexp(whole + (draw >= 1.0 - (steps - whole)), exponent)
    rounded[magnitude > torch.finfo(_DTYPES[dtype]).max] = torch.inf
    return torch.where(values.isfinite(), rounded.float().copysign(values), values)


def _uniform(key: np.uint64, start: int, like: Tensor) -> Tensor:
    return shifted_right(words(key, start, like.numel(), like.device), 11).double() * 2.0**-53


def count_nonfinite(values: Tensor) -> int:
    """How many elements are NaN or infinite."""
    return int((~values.isfinite()).sum())
