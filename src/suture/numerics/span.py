"""Weighted sums and Gram matrices, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suture.numerics.anchor import anchored


def weighted_sum(blocks: Sequence[Tensor], coefficients: Sequence[float], out: Tensor) -> None:
    """sum_i a_i x_i into `out`, in fp32, anchored at the input of largest |a_i|."""
    anchor, total = anchored(coefficients)
    base = blocks[anchor]
    out.copy_(base * float(np.float32(total)))
    for i, (x, a) in enumerate(zip(blocks, coefficients, strict=True)):
        if i != anchor and a:
            add_term(out, (x - base) * float(np.float32(a)))


def add_term(out: Tensor, term: Tensor) -> None:
    """out += term, where a zero term leaves a negative zero alone."""
    out.copy_(torch.where(term != 0, out + term, out))


def gram_segment(blocks: Sequence[Tensor], anchor: int) -> NDArray[np.float64]:
    """Gram matrix (n, n) of {x_k, x_i - x_k}, k = `anchor`: differences in fp32, products and sums in fp64."""
    base = blocks[anchor]
    rows = torch.stack([base if i == anchor else x - base for i, x in enumerate(blocks)]).double()
    gram: NDArray[np.float64] = (rows @ rows.T).cpu().numpy()
    return gram
