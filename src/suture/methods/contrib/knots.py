"""KnOTS: TIES in a basis that all task vectors share, where those of adapters line up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.methods.contrib.arrays import Array, decompositions, library, on_task_vectors, svd
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MatrixMethod, MethodInfo

SMALLEST = 1e-10
"""Directions whose singular value is below this share of the largest are left out."""


def ties(rows: list[Array], weight: tuple[float, ...], density: tuple[float, ...]) -> Array:
    """The mean of those of the elected sign, after trimming."""
    xp = library(rows[0])
    kept = []
    for row, w, p in zip(rows, weight, density, strict=True):
        size = row.reshape(-1).shape[0]
        count = max(1, int(p * size))
        bound = xp.sort(abs(row).reshape(-1))
        least = (bound if xp.__name__ == "numpy" else bound.values)[size - count]
        kept.append(w * xp.where(abs(row) >= least, row, xp.zeros_like(row)))
    elected = xp.where(sum(kept) >= 0, 1.0, -1.0)
    agrees = [k * elected > 0 for k in kept]
    mix = sum(k * a for k, a in zip(kept, agrees, strict=True))
    divisor = sum(w * a for w, a in zip(weight, agrees, strict=True))
    return mix / xp.where(divisor == 0, xp.ones_like(mix), divisor * xp.ones_like(mix))


def merged(deltas: list[Array], weight: tuple[float, ...], density: tuple[float, ...]) -> Array:
    """U S times TIES of the V_i in [x_1 - b, ..., x_N - b] = U S [V_1, ..., V_N]."""
    xp = library(deltas[0])
    u, s, vh = svd(xp.concatenate(deltas, 1))
    present = s > SMALLEST * s[0]
    u, s, vh = u[:, present], s[present], vh[present]
    width = deltas[0].shape[1]
    parts = [vh[:, i * width : (i + 1) * width] for i in range(len(deltas))]
    return (u * s) @ ties(parts, weight, density)


def matrix(tensors: Sequence[Any], *, weight: tuple[float, ...], density: tuple[float, ...], lambda_: float) -> Any:
    """base + lambda times the merged task vectors."""
    return on_task_vectors(tensors, lambda deltas: merged(deltas, weight, density), lambda_)


register(
    MatrixMethod(
        MethodInfo(
            name="knots",
            shape="matrix",
            summary="TIES in the basis of the singular vectors that all task vectors share; made for adapters.",
            paper="Stoica et al., Model merging with SVD to tie the KnOTS, ICLR 2025, arXiv 2410.19735 (KnOTS-TIES)",
            formula="b + lambda U S ties(V_1, ..., V_N), U S [V_1, ..., V_N] = [x_1 - b, ..., x_N - b]",
            deviations="Directions below 1e-10 of the strongest are left out. Magnitudes equal to the last one kept "
            "are kept. Tensors without two dimensions: lambda times the mean task vector.",
            parameters=(
                Parameter("weight", "factor of the model's part", "float", 1.0, per_model=True),
                Parameter("density", "share kept", "float", 1.0, low=0.0, high=1.0, low_open=True, per_model=True),
                Parameter("lambda", "factor of the merged task vector", "float", 1.0),
            ),
            laws=("identity", "permutation", "one model is itself"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            helps="LoRA adapters of one base, whose task vectors do not line up: above TIES on them in the study "
            "of its authors (Stoica et al.).",
            fails="Full fine-tunes, which line up already: no gain there in the same study, at a far higher cost.",
            example={"weight": 1.0, "density": 0.5},
        ),
        matrix,
        lambda shape, inputs: 2 * decompositions(shape, inputs),
    )
)
