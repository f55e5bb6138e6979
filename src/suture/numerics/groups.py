"""Gram matrices and weighted sums of each row or each column of whole rows, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suture.numerics.anchor import anchored_groups
from suture.numerics.span import add_term


def gram_groups(blocks: Sequence[Tensor], anchor: int, columns: int, group: str) -> NDArray[np.float64]:
    """(groups, n, n): the Gram matrix of {x_k, x_i - x_k} of each row or each column."""
    base = blocks[anchor]
    kept = torch.stack([base if i == anchor else x - base for i, x in enumerate(blocks)])
    kept = kept.view(len(blocks), -1, columns).double()
    over = "irc,jrc->rij" if group == "row" else "irc,jrc->cij"
    gram: NDArray[np.float64] = torch.einsum(over, kept, kept).cpu().numpy()
    return gram


def weighted_groups(
    blocks: Sequence[Tensor], coefficients: NDArray[np.float64], columns: int, group: str, first: int, out: Tensor
) -> None:
    """sum_i a_i x_i in fp32, with a row of `coefficients` for each row or column."""
    rows = out.numel() // columns if columns else 0
    if group == "row":
        coefficients = coefficients[first : first + rows]
    anchors, totals = anchored_groups(coefficients)

    def spread(values: NDArray[np.float64] | NDArray[np.int64]) -> Tensor:
        """One value a group, to every element of the group."""
        given = torch.from_numpy(np.ascontiguousarray(values)).to(out.device)
        return given[:, None].expand(rows, columns) if group == "row" else given.expand(rows, columns)

    stacked = torch.stack([x.view(rows, columns) for x in blocks])
    base = stacked.gather(0, spread(anchors)[None])[0]
    total = spread(totals).float() * base
    for i, x in enumerate(stacked):
        add_term(total, spread(coefficients[:, i]).float() * (x - base))
    out.copy_(total.view(-1))
