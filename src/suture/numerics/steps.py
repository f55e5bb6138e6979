"""The steps in PyTorch, on any device: same names and arguments as in `suture.kernels`, tensors for arrays.

Elementwise steps equal the kernels bit for bit (the payload of a NaN apart). Sums are taken in fp64 in whatever order
the device likes: over n elements they differ from the kernels' by at most n * 2**-52 times the sum of the magnitudes
of their terms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suture.numerics.anchor import SEGMENT, anchored
from suture.numerics.keys import GAMMA, MULTIPLIER_1, MULTIPLIER_2, keep_threshold, random_key

__all__ = [
    "SEGMENT",
    "count_nonfinite",
    "count_vanished",
    "empty_like",
    "finish",
    "gram_segment",
    "l1_distance",
    "narrow",
    "nearswap",
    "random_key",
    "thinned",
    "weighted_sum",
    "widen",
]

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_GRIDS = {"BF16": (8, -125), "F16": (11, -13)}
"""Significant bits, and the least exponent e of a normal number m 2**e with m in [0.5, 1)."""


def widen(raw: Tensor, dtype: str, out: Tensor) -> None:
    """Stored bits of `dtype` (integers of its width) into float32."""
    out.copy_(raw.view(_DTYPES[dtype]))


def narrow(values: Tensor, dtype: str, out: Tensor, *, rounding: str, key: np.uint64, start: int) -> None:
    """Float32 into the stored bits of `dtype`, rounded "nearest" (ties to even) or "stochastic"."""
    if rounding == "stochastic" and dtype in _GRIDS:
        values = _on_grid(
            values, dtype, _quarters(key, start, values) if dtype == "BF16" else _uniform(key, start, values)
        )
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
    first, count = start // 4, (start % 4 + like.numel() + 3) // 4
    words = _mixed(key, first, count, like)
    parts = torch.stack([_shifted_right(words, 16 * lane) & 0xFFFF for lane in range(4)], dim=1).reshape(-1)
    return parts[start % 4 : start % 4 + like.numel()].double() * 2.0**-16


def _draws(key: np.uint64, start: int, like: Tensor) -> Tensor:
    """The top 53 bits of splitmix64(key, index) for as many indices from `start` as `like` has elements."""
    return _shifted_right(_mixed(key, start, like.numel(), like), 11)


def _mixed(key: np.uint64, first: int, count: int, like: Tensor) -> Tensor:
    z = torch.arange(first + 1, first + 1 + count, device=like.device) * _signed(GAMMA) + _signed(int(key))
    for shift, multiplier in ((30, MULTIPLIER_1), (27, MULTIPLIER_2)):
        z = (z ^ _shifted_right(z, shift)) * _signed(multiplier)
    return z ^ _shifted_right(z, 31)


def _uniform(key: np.uint64, start: int, like: Tensor) -> Tensor:
    return _draws(key, start, like).double() * 2.0**-53


def _signed(word: int) -> int:
    """The 64-bit word as a signed integer (torch has no unsigned arithmetic; its products wrap around)."""
    return word - 2**64 if word >= 2**63 else word


def _shifted_right(words: Tensor, count: int) -> Tensor:
    """Logical shift."""
    return (words >> count) & ((1 << (64 - count)) - 1)


def count_nonfinite(values: Tensor) -> int:
    """How many elements are NaN or infinite."""
    return int((~values.isfinite()).sum())


def count_vanished(values: Tensor, back: Tensor) -> int:
    """How many elements are not 0 in `values` but in `back`, what was stored of them."""
    return int(((back == 0) & (values != 0)).sum())


def weighted_sum(blocks: Sequence[Tensor], coefficients: Sequence[float], out: Tensor) -> None:
    """sum_i a_i x_i into `out`, in fp32, anchored at the input of largest |a_i|."""
    anchor, total = anchored(coefficients)
    base = blocks[anchor]
    out.copy_(base * float(np.float32(total)))
    for i, (x, a) in enumerate(zip(blocks, coefficients, strict=True)):
        if i != anchor and a:
            _add_term(out, (x - base) * float(np.float32(a)))


def _add_term(out: Tensor, term: Tensor) -> None:
    """out += term, where a zero term leaves a negative zero alone."""
    out.copy_(torch.where(term != 0, out + term, out))


def gram_segment(blocks: Sequence[Tensor], anchor: int) -> NDArray[np.float64]:
    """Gram matrix (n, n) of {x_k, x_i - x_k}, k = `anchor`: differences in fp32, products and sums in fp64."""
    base = blocks[anchor]
    rows = torch.stack([base if i == anchor else x - base for i, x in enumerate(blocks)]).double()
    gram: NDArray[np.float64] = (rows @ rows.T).cpu().numpy()
    return gram


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


def empty_like(block: Tensor) -> Tensor:
    """A new block of the same length, with arbitrary content."""
    return torch.empty_like(block)


def thinned(values: Tensor, base: Tensor, key: np.uint64, start: int, density: float) -> Tensor:
    """`values` where a draw keeps the element, `base` elsewhere."""
    return torch.where(_draws(key, start, values) < int(keep_threshold(density)), values, base)


def l1_distance(x: Tensor, y: Tensor) -> float:
    """Sum of |x - y|: differences in fp32, the sum in fp64."""
    return float((x - y).abs().double().sum())


def nearswap(base: Tensor, x: Tensor, threshold: float, out: Tensor) -> None:
    """base + w (x - base), w = clip(threshold / max(|x - base|, 1e-6), 0, 1); exactly x where w = 1."""
    delta = x - base
    weight = delta.new_tensor(threshold) / delta.abs().clamp(min=float(np.float32(1e-6)))
    out.copy_(base)
    _add_term(out, weight * delta)
    out.copy_(torch.where(weight >= 1, x, out))
