"""What elementwise methods ask for besides masks and elections, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from suture.numerics.span import add_term


def empty_like(block: Tensor) -> Tensor:
    """A new block of the same length, with arbitrary content."""
    return torch.empty_like(block)


def l1_distances(x: Tensor, kept: Tensor, base: Tensor) -> tuple[float, float]:
    """Sums of |x - base| and of |kept - base|: differences in fp32, sums in fp64."""
    return float((x - base).abs().double().sum()), float((kept - base).abs().double().sum())


def nearswap(base: Tensor, x: Tensor, threshold: float, out: Tensor) -> None:
    """base + w (x - base), w = clip(threshold / max(|x - base|, 1e-6), 0, 1); exactly x where w = 1."""
    delta = x - base
    weight = delta.new_tensor(threshold) / delta.abs().clamp(min=float(np.float32(1e-6)))
    out.copy_(base)
    add_term(out, weight * delta)
    out.copy_(torch.where(weight >= 1, x, out))


def variances(base: Tensor, models: Sequence[Tensor], out: Tensor) -> None:
    """The (population) variance of the differences to the base at each place."""
    deltas = [(x - base).double() for x in models]
    mean, variance = torch.zeros_like(deltas[0]), torch.zeros_like(deltas[0])
    for delta in deltas:
        mean += delta
    mean /= len(deltas)
    for delta in deltas:
        variance += (delta - mean) * (delta - mean)
    out.copy_(variance / len(deltas))


def importances(x: Tensor, base: Tensor, columns: int, out: Tensor) -> None:
    """|x - base| KL(p | q), p and q the softmax of its row in `x` and `base`, each plus 1e-8."""
    if columns:
        p, q = (torch.softmax(rows.view(-1, columns).double(), dim=1) + 1e-8 for rows in (x, base))
        divergence = (p * (p / q).log()).sum(1, keepdim=True).clamp(min=0)
        out.copy_(((x - base).abs().double().view(-1, columns) * divergence).view(-1))
