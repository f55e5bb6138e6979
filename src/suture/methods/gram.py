"""The Gram matrix of a set of tensors, kept so that small differences between large tensors stay exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Gram:
    """Inner products of n tensors, over the anchored set {x_k, x_i - x_k}.

    matrix: (n, n) float64, symmetric; row and column k = `anchor` hold x_k itself, the others x_i - x_k. Accessors
    speak of the raw tensors, and of their differences to the anchor, which for parents at a relative distance of 0.3 %
    no Gram matrix of the raw tensors in fp32 could tell. With groups the matrix is (groups, n, n), and the accessors
    give float64 arrays with one value a group instead of floats.
    """

    matrix: NDArray[np.float64]
    anchor: int

    def dot(self, i: int, j: int) -> Any:
        """<x_i, x_j>."""
        return self._entry(self.anchor, self.anchor) + self._mixed(i) + self._mixed(j) + self.delta_dot(i, j)

    def norm(self, i: int) -> Any:
        """|x_i|."""
        return self._root(self.dot(i, i))

    def delta_dot(self, i: int, j: int) -> Any:
        """<x_i - x_k, x_j - x_k>; 0 where i or j is the anchor."""
        return 0.0 if self.anchor in (i, j) else self._entry(i, j)

    def delta_norm(self, i: int) -> Any:
        """|x_i - x_k|."""
        return self._root(self.delta_dot(i, i))

    def _mixed(self, i: int) -> Any:
        return 0.0 if i == self.anchor else self._entry(i, self.anchor)

    def _entry(self, i: int, j: int) -> Any:
        return float(self.matrix[i, j]) if self.matrix.ndim == 2 else self.matrix[:, i, j]

    def _root(self, square: Any) -> Any:
        root = np.sqrt(np.maximum(square, 0.0))
        return float(root) if self.matrix.ndim == 2 else root


def coefficients(*values: Any) -> tuple[Any, ...]:
    """Coefficients as a span method gives them: floats where they are single numbers, arrays where one a group."""
    return tuple(value if np.ndim(value) else float(value) for value in values)
