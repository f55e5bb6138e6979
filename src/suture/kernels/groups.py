"""Gram matrices and weighted sums of each row or each column of whole rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import LANES, Floats, Sums, compiled
from suture.kernels.span import with_term
from suture.numerics.anchor import anchored_groups


def gram_groups(blocks: Sequence[Floats], anchor: int, columns: int, group: str) -> Sums:
    """(groups, n, n): the Gram matrix of {x_k, x_i - x_k} of each row (64 lanes) or column (row after row).

    Differences are formed in fp32, products and sums in fp64.
    """
    base, n = blocks[anchor].reshape(-1, columns), len(blocks)
    sums = _row_sums if group == "row" else _column_sums
    zeros = np.zeros_like(base)
    kept = [(base, zeros) if i == anchor else (x.reshape(-1, columns), base) for i, x in enumerate(blocks)]
    gram = np.empty((base.shape[0] if group == "row" else columns, n, n))
    for i in range(n):
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = sums(*kept[i], *kept[j])
    return gram


@compiled
def _row_sums(x: Floats, x_base: Floats, y: Floats, y_base: Floats) -> Sums:
    """(rows,): (x - x_base).(y - y_base) of each row."""
    found, lanes = np.zeros(x.shape[0]), np.empty(LANES)
    for row in range(x.shape[0]):
        lanes[:] = 0.0
        for i in range(x.shape[1]):
            lanes[i % LANES] += np.float64(x[row, i] - x_base[row, i]) * np.float64(y[row, i] - y_base[row, i])
        for lane in range(LANES):
            found[row] += lanes[lane]
    return found


@compiled
def _column_sums(x: Floats, x_base: Floats, y: Floats, y_base: Floats) -> Sums:
    """(columns,): (x - x_base).(y - y_base) of each column."""
    found = np.zeros(x.shape[1])
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            found[i] += np.float64(x[row, i] - x_base[row, i]) * np.float64(y[row, i] - y_base[row, i])
    return found


def weighted_groups(
    blocks: Sequence[Floats], coefficients: Sums, columns: int, group: str, first: int, out: Floats
) -> None:
    """sum_i a_i x_i in fp32, anchored in each group as `weighted_sum` is.

    coefficients: (groups, n), a row of it for each row of the tensor, of which `first` is the first one in the blocks,
    or for each column.
    """
    rows = out.size // columns if columns else 0
    if group == "row":
        coefficients = coefficients[first : first + rows]
    anchors, totals = anchored_groups(coefficients)
    stacked = np.stack([x.reshape(rows, columns) for x in blocks])
    factors = coefficients.astype(np.float32)
    _weigh(stacked, factors, anchors, totals.astype(np.float32), group == "row", out.reshape(rows, columns))


@compiled
def _weigh(x: Floats, a: Floats, anchors: NDArray[np.int64], totals: Floats, by_row: bool, out: Floats) -> None:
    for row in range(out.shape[0]):
        for i in range(out.shape[1]):
            group = row if by_row else i
            base = x[anchors[group], row, i]
            total = totals[group] * base
            for model in range(x.shape[0]):
                total = with_term(total, a[group, model] * (x[model, row, i] - base))
            out[row, i] = total
