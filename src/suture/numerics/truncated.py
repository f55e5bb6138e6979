"""Truncated singular value decomposition by a randomised sketch, of a given rank or a given share of the squares.

Halko, Martinsson & Tropp, SIAM Review 53 (2011), algorithms 4.4 and 5.1: a Gaussian sketch with OVERSAMPLING more
columns than the rank, POWER_STEPS power iterations with re-orthogonalisation; exact where the rank is half the full
one or more. In memory are the matrix, and a few of its rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

OVERSAMPLING = 10
POWER_STEPS = 2
FIRST_RANK = 16
ROUNDING = 1e-6
"""Relative error of an energy that comes from singular values in fp32."""

Matrix = NDArray[np.float32]


def decompose(
    matrix: Matrix, norm: float, key: np.uint64, *, rank: int | None = None, energy: float | None = None
) -> tuple[Matrix, Matrix, Matrix]:
    """Return left (m, k), singular values (k,), right (k, n) of a matrix (m, n) whose Frobenius norm is `norm`.

    k is the least that holds the share `energy` of norm^2, in (0, 1], but `rank` at the most; what is zero to the
    precision of fp32 is left out. key: of the Gaussian sketch, drawn by numpy's Philox.
    """
    full = min(matrix.shape)
    most = min(full, rank) if rank is not None else full
    for width in _widths(most, energy is not None):
        exact = 2 * width >= full
        left, values, right = _exact(matrix) if exact else _sketched(matrix, width, key)
        energies = np.cumsum(values.astype(np.float64) ** 2) / norm**2
        wanted = math.inf if energy is None else energy
        enough = int(np.searchsorted(energies, wanted * (1 - ROUNDING))) + 1
        if enough <= min(len(values), most) or width >= most or exact:
            real = int(np.count_nonzero(values > values[0] * np.finfo(np.float32).eps))
            kept = max(1, min(enough, most, real))
            return left[:, :kept], values[:kept], right[:kept]
    raise AssertionError("unreachable: the last width is the whole")


def _widths(most: int, growing: bool) -> Iterator[int]:
    """Ranks to try: the whole where a rank is asked for; doubling from FIRST_RANK where an energy is."""
    width = FIRST_RANK
    while growing and width < most:
        yield width
        width *= 2
    yield most


def _exact(matrix: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return left, values, right


def _sketched(matrix: Matrix, rank: int, key: np.uint64) -> tuple[Matrix, Matrix, Matrix]:
    generator = np.random.Generator(np.random.Philox(key=int(key)))
    columns = min(rank + OVERSAMPLING, min(matrix.shape))
    sketch = generator.standard_normal((matrix.shape[1], columns), dtype=np.float32)
    basis = np.linalg.qr(matrix @ sketch)[0]
    for _ in range(POWER_STEPS):
        other = np.linalg.qr(matrix.T @ basis)[0]
        basis = np.linalg.qr(matrix @ other)[0]
    inner, values, right = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return (basis @ inner)[:, :rank], values[:rank], right[:rank]
