"""Which models differ from the base at all, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suture.numerics.span import add_term


def _active(base: Tensor, models: Sequence[Tensor], epsilon: float) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """The differences, where they exceed epsilon, and how many do."""
    deltas = [x - base for x in models]
    active = [delta.abs() > float(np.float32(epsilon)) for delta in deltas]
    return deltas, active, torch.stack(active).sum(0)


def active_counts(base: Tensor, models: Sequence[Tensor], epsilon: float) -> NDArray[np.int64]:
    """(2, models): at how many places each model alone, and with others, differs from the base by over epsilon."""
    _, active, count = _active(base, models, epsilon)
    return np.array([[int((a & (count == 1)).sum()) for a in active], [int((a & (count > 1)).sum()) for a in active]])


def active_means(base: Tensor, models: Sequence[Tensor], epsilon: float, factors: Sequence[float], out: Tensor) -> None:
    """base + the mean of the differences over epsilon; times the model's factor where it is the only one."""
    deltas, active, count = _active(base, models, epsilon)
    total = torch.zeros_like(base)
    for delta, a in zip(deltas, active, strict=True):
        total += torch.where(a, delta, 0.0)
    shared = base.clone()
    add_term(shared, total / count.clamp(min=1).float())
    result = torch.where(count > 1, shared, base)
    for x, delta, a, factor in zip(models, deltas, active, factors, strict=True):
        alone = base.clone()
        add_term(alone, float(np.float32(factor)) * delta)
        result = torch.where(a & (count == 1), x if np.float32(factor) == 1 else alone, result)
    out.copy_(result)
