"""What the matrix methods share: numpy or torch by the arrays given, double precision, sums that keep bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any
"""A numpy array or a torch tensor."""


def library(array: Array) -> Any:
    """The module whose functions take the array: numpy or torch (which agree in the names used here)."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def double(array: Array) -> Array:
    """The array in float64."""
    return array.astype(np.float64) if isinstance(array, np.ndarray) else array.double()


def moved(base: Array, delta: Array) -> Array:
    """base + delta in float64, rounded to float32; base's own bits where delta is 0."""
    xp = library(base)
    total = double(base) + delta
    rounded = total.astype(np.float32) if xp is np else total.float()
    return xp.where(delta == 0, base, rounded)


def on_task_vectors(tensors: Sequence[Array], merged: Callable[[list[Array]], Array], scale: float) -> Array:
    """base + scale * merged(task vectors), float64 matrices; scale * their mean for tensors without two dimensions.

    Tensors of more dimensions become matrices of their first one times the rest. Where all models equal the base, so
    does the result.
    """
    base, *models = tensors
    deltas = [double(model) - double(base) for model in models]
    xp = library(base)
    if not any(bool((delta != 0).any()) for delta in deltas):
        return moved(base, xp.zeros_like(deltas[0]))
    if base.ndim < 2:
        return moved(base, scale * sum(deltas) / len(deltas))
    matrices = [delta.reshape(delta.shape[0], -1) for delta in deltas]
    return moved(base, scale * merged(matrices).reshape(base.shape))


def svd(matrix: Array) -> tuple[Array, Array, Array]:
    """U, S, Vh of the thin singular value decomposition."""
    u, s, vh = library(matrix).linalg.svd(matrix, full_matrices=False)
    return u, s, vh


def orthogonal(matrix: Array) -> Array:
    """The matrix with orthonormal columns (rows) nearest to `matrix`: the polar factor."""
    u, _, vh = svd(matrix)
    return u @ vh


def decompositions(shape: tuple[int, ...], inputs: int) -> int:
    """Peak bytes of a method that holds every task vector and a few factors of one in float64."""
    return 8 * math.prod(shape) * (inputs + 6)


def gram_bytes(shape: tuple[int, ...], inputs: int) -> int:
    """Peak bytes of a method that holds every input and a few Gram matrices of the features taken in, in float64."""
    features = math.prod(shape[1:]) if len(shape) > 1 else 1
    return 8 * (math.prod(shape) * (inputs + 3) + 4 * features * features)
