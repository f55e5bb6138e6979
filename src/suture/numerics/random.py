"""Keyed masks in PyTorch: what a draw keeps, with one probability for all or one that rises with the rank."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suture.numerics.keys import GAMMA, MULTIPLIER_1, MULTIPLIER_2, keep_threshold
from suture.numerics.ranks import rank_probabilities
from suture.numerics.select import row_ranks
from suture.numerics.span import add_term


def words(key: np.uint64, start: int, count: int, device: torch.device) -> Tensor:
    """splitmix64(key, index) for `count` indices from `start`, as int64."""
    z = torch.arange(start + 1, start + 1 + count, device=device) * _signed(GAMMA) + _signed(int(key))
    for shift, multiplier in ((30, MULTIPLIER_1), (27, MULTIPLIER_2)):
        z = (z ^ shifted_right(z, shift)) * _signed(multiplier)
    return z ^ shifted_right(z, 31)


def _signed(word: int) -> int:
    """The 64-bit word as a signed integer (torch has no unsigned arithmetic; its products wrap around)."""
    return word - 2**64 if word >= 2**63 else word


def shifted_right(words: Tensor, count: int) -> Tensor:
    """Logical shift."""
    return (words >> count) & ((1 << (64 - count)) - 1)


def _halves(key: np.uint64, start: int, like: Tensor) -> Tensor:
    """32 bits for each element of `like`, the first being element `start`: see keys.py for which."""
    index = torch.arange(start, start + like.numel(), device=like.device)
    first = start >> 1
    drawn = words(key, first, (like.numel() + 3) // 2, like.device)[(index >> 1) - first]
    return torch.where(index & 1 == 1, shifted_right(drawn, 32), drawn & 0xFFFFFFFF)


def thinned(values: Tensor, base: Tensor, key: np.uint64, start: int, density: float, out: Tensor) -> None:
    """`values` where a draw keeps the element, `base` elsewhere."""
    out.copy_(torch.where(_halves(key, start, values) < int(keep_threshold(density)), values, base))


def thinned_by_rank(
    values: Tensor,
    base: Tensor,
    key: np.uint64,
    start: int,
    columns: int,
    density: float,
    epsilon: float,
    divided: bool,
    out: Tensor,
) -> None:
    """`values` where a draw of a probability that rises with the rank in the row keeps the element, else `base`."""
    if columns == 0:
        return
    probability = torch.tensor(rank_probabilities(columns, density, epsilon)).to(values.device)
    ranks = row_ranks(values, base, columns)
    dropped = _halves(key, start, values) >= (probability * 2.0**32).long()[ranks]
    if divided:
        factor = (1.0 / probability).float()[ranks]
        scaled = base.clone()
        add_term(scaled, factor * (values - base))
        values = torch.where(factor == 1, values, scaled)
    out.copy_(torch.where(dropped, base, values))


def pack_kept(row: Tensor, base: Tensor, out: NDArray[np.uint8]) -> None:
    """A bit an element, lowest first: where `row` is not the base's own."""
    differs = row.view(torch.int32) != base.view(torch.int32)
    out[:] = np.packbits(differs.cpu().numpy(), bitorder="little")


def unpack_kept(bits: NDArray[np.uint8], x: Tensor, base: Tensor, row: Tensor) -> None:
    """`x` where the bit is set, `base` elsewhere."""
    kept = np.unpackbits(bits, count=x.numel(), bitorder="little").astype(np.bool_)
    row.copy_(torch.where(torch.from_numpy(kept).to(x.device), x, base))
