"""Low-rank updates: a block of W + s L R, with DoRA's factors, and the sums of squares that these need.

Each element is summed over the rank in order, in fp64, and rounded to fp32 once, so its bits depend on nothing but the
factors: not on where a block begins, nor on the processor.
"""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import TILE, Floats, Sums, compiled

NONE: Sums = np.empty(0)


def add_low_rank(
    out: Floats,
    start: int,
    left: Floats,
    right: Floats,
    scale: float,
    row_factors: Sums = NONE,
    column_factors: Sums = NONE,
) -> None:
    """f_i g_j (w + scale sum_k left[i, k] right[k, j]) into `out`, which holds the w of the elements from `start` on.

    left: (rows, rank), right: (rank, columns), both contiguous; the elements are those of a matrix (rows, columns) in
    row-major order. row_factors f: (rows,) or empty for ones; column_factors g: (columns,) or empty.
    """
    _add_low_rank(out, start, left, right, scale, row_factors, column_factors)


@compiled
def _add_low_rank(out: Floats, start: int, left: Floats, right: Floats, scale: float, rows: Sums, cols: Sums) -> None:
    rank, width = right.shape
    total = np.empty(TILE)
    done = 0
    while done < out.size:
        i = (start + done) // width
        first = (start + done) % width
        count = min(TILE, width - first, out.size - done)
        total[:count] = 0.0
        for k in range(rank):
            factor = np.float64(left[i, k])
            row = right[k, first : first + count]
            for j in range(count):
                total[j] += factor * np.float64(row[j])
        block = out[done : done + count]
        by_row = rows[i] if rows.size else 1.0
        if cols.size:
            for j in range(count):
                block[j] = np.float32(cols[first + j] * (np.float64(block[j]) + scale * total[j]))
        else:
            for j in range(count):
                block[j] = np.float32(by_row * (np.float64(block[j]) + scale * total[j]))
        done += count


@compiled
def add_row_squares(values: Floats, start: int, width: int, sums: Sums) -> None:
    """Add the square of each element, in order and in fp64, to the sum of its row; rows are `width` long."""
    for i in range(values.size):
        value = np.float64(values[i])
        sums[(start + i) // width] += value * value


@compiled
def add_column_squares(values: Floats, start: int, width: int, sums: Sums) -> None:
    """Add the square of each element, in order and in fp64, to the sum of its column; rows are `width` long."""
    for i in range(values.size):
        value = np.float64(values[i])
        sums[(start + i) % width] += value * value
