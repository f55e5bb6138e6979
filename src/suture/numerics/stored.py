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
        drawn = _quarters if dtype == "BF16" else _uniform
        values = _on_grid(values, dtype, drawn(key, start, values))
    out.view(_DTYPES[dtype]).copy_(values)


def _on_grid(values: Tensor, dtype: str, draw: Tensor) -> Tensor:
    """The neighbour on the grid of `dtype`, away from zero with the probability of the fraction of the step gone."""
    digits, least = _GRIDS[dtype]
    magnitude = values.abs().double()
    exponent = torch.frexp(values).exponent.clamp(min=least) - digits
    steps = torch.ldexp(magnitude, -exponent)
    whole = steps.floor()
    rounded = torch.ldexp(whole + (draw >= 1.0 - (steps - whole)), exponent)
    return torch.where(values.isfinite(), rounded.float().copysign(values), values)


def _quarters(key: np.uint64, start: int, like: Tensor) -> Tensor:
    """Uniform draws of 16 bits: four elements share one splitmix64, the lowest bits first."""
    first, before = divmod(start, 4)
    four = words(key, first, (before + like.numel() + 3) // 4, like.device)
    parts = torch.stack([shifted_right(four, 16 * lane) & 0xFFFF for lane in range(4)], dim=1).reshape(-1)
    return parts[before : before + like.numel()].double() * 2.0**-16


def _uniform(key: np.uint64, start: int, like: Tensor) -> Tensor:
    return shifted_right(words(key, start, like.numel(), like.device), 11).double() * 2.0**-53


def count_nonfinite(values: Tensor) -> int:
    """How many elements are NaN or infinite."""
    return int((~values.isfinite()).sum())


def count_vanished(values: Tensor, back: Tensor) -> int:
    """How many elements are not 0 in `values` but in `back`, what was stored of them."""
    return int(((back == 0) & (values != 0)).sum())
