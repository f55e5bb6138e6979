"""Exact selection by magnitude in PyTorch: histograms over the bits of |x - y|, ranks in rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]


def _bits(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).view(torch.int32).long() & 0x7FFFFFFF


def _counts(values: Tensor, bins: int) -> Counts:
    found: Counts = torch.bincount(values, minlength=bins).cpu().numpy()
    return found


def high_counts(x: Tensor, y: Tensor) -> Counts:
    """(2**15,): how many |x - y| have each high part."""
    return _counts(_bits(x, y) >> 16, 2**15)


def low_counts(x: Tensor, y: Tensor, high: int) -> Counts:
    """(2**16,): how many |x - y| whose high part is `high` have each low part."""
    bits = _bits(x, y)
    return _counts(bits[bits >> 16 == high] & 0xFFFF, 2**16)


def coarse_counts(x: Tensor, y: Tensor, high: int) -> Counts:
    """(4,): how many |x - y| have the high part `high` and the low part 0, 2**14, 2 * 2**14, 3 * 2**14."""
    return np.array([equal_count(x, y, (high << 16) + (low << 14)) for low in range(4)], np.int64)


def equal_count(x: Tensor, y: Tensor, bits: int) -> int:
    """How many |x - y| have exactly these bits."""
    return int((_bits(x, y) == bits).sum())


def place_of(x: Tensor, y: Tensor, bits: int, count: int) -> int:
    """The least i such that `count` of the |x - y| before i have exactly these bits."""
    places = torch.nonzero(_bits(x, y) == bits).flatten()
    return 0 if count == 0 else int(places[count - 1]) + 1 if count <= len(places) else len(x)


def kept_by_rank(x: Tensor, base: Tensor, bounds: Sequence[tuple[int, int]], out: Tensor) -> None:
    """`x` where |x - base| lies inside the first bound and outside the second, `base` elsewhere."""
    bits, places = _bits(x, base), torch.arange(x.numel(), device=x.device)
    inner, outer = (bits >= least + (places >= cut).long() for least, cut in bounds)
    out.copy_(torch.where(inner & ~outer, x, base))


def kept_by_score(x: Tensor, base: Tensor, score: Tensor, bound: tuple[int, int], out: Tensor) -> None:
    """`x` where the bits of `score` (not negative) lie inside the bound, `base` elsewhere."""
    least, cut = bound
    bits = _bits(score, torch.zeros_like(score))
    out.copy_(torch.where(bits >= least + (torch.arange(x.numel(), device=x.device) >= cut).long(), x, base))


def row_ranks(x: Tensor, base: Tensor, columns: int) -> Tensor:
    """Rank of each |x - base| in its row, 0 for the least; equal ones in the order of their place."""
    order = torch.argsort(_bits(x, base).view(-1, columns), dim=1, stable=True)
    ranks = torch.empty_like(order)
    ranks.scatter_(1, order, torch.arange(columns, device=x.device).expand_as(order))
    return ranks.flatten()
