"""Sign election over task vectors in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from suture.numerics.span import add_term


def empty_rows(block: Tensor, rows: int) -> Tensor:
    """(rows, elements): as many new blocks like `block`, with arbitrary content."""
    return block.new_empty((rows, block.numel()))


def elected(
    base: Tensor,
    kept: Tensor,
    weight: Sequence[float],
    factor: Sequence[float],
    lambda_: float,
    normalize: bool,
    out: Tensor,
    ballot: Sequence[float] | None = None,
) -> None:
    """base + lambda sum_i [sign d_i = s] d_i, d_i = w_i f_i (kept_i - base), s = sign(sum_i d_i), sign(0) = +1."""
    zero = torch.zeros_like(base)
    total, mix, divisor, votes, alone = (zero.clone() for _ in range(5))
    terms = [float(np.float32(w * f)) * (x - base) for w, f, x in zip(weight, factor, kept, strict=True)]
    for i, x in enumerate(kept):
        total += terms[i] if ballot is None else float(np.float32(ballot[i])) * (x - base)
    for term, w, f, x in zip(terms, weight, factor, kept, strict=True):
        agrees = torch.where(total >= 0, term > 0, term < 0)
        mix += torch.where(agrees, term, zero)
        divisor += torch.where(agrees, float(np.float32(w)), zero)
        votes += torch.where(agrees, 1.0 if lambda_ * (f if normalize else w * f) == 1.0 else 2.0, zero)
        alone = torch.where(agrees, x, alone)
    if normalize:
        mix = mix / torch.where(divisor != 0, divisor, 1.0)
    out.copy_(base)
    add_term(out, float(np.float32(lambda_)) * mix)
    out.copy_(torch.where(votes == 1, alone, out))
