"""Iso-CTS: a common subspace and each model's own directions outside it, all at the same strength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.methods.contrib.arrays import Array, decompositions, library, on_task_vectors, orthogonal, svd
from suture.methods.contrib.iso_c import PAPER
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MatrixMethod, MethodInfo


def merged(deltas: list[Array], common: float) -> Array:
    """Leading directions of the sum, then of each task vector what lies outside them, made orthogonal, flattened."""
    xp = library(deltas[0])
    rank = min(deltas[0].shape)
    own = int(rank * (1.0 - common)) // len(deltas)
    u, s, vh = svd(sum(deltas))
    shared = rank - own * len(deltas)
    lefts, values, rights = [u[:, :shared]], [s[:shared]], [vh[:shared]]
    for delta in deltas if own else ():
        u_i, s_i, vh_i = svd(delta - lefts[0] @ (lefts[0].T @ delta))
        lefts.append(u_i[:, :own])
        values.append(s_i[:own])
        rights.append(vh_i[:own])
    left, right = orthogonal(xp.concatenate(lefts, 1)), orthogonal(xp.concatenate(rights, 0))
    return xp.concatenate(values).mean() * (left @ right)


def matrix(tensors: Sequence[Any], *, lambda_: float, common: float) -> Any:
    """base + lambda times the merged task vectors."""
    return on_task_vectors(tensors, lambda deltas: merged(deltas, common), lambda_)


register(
    MatrixMethod(
        MethodInfo(
            name="iso_cts",
            shape="matrix",
            summary="Iso-C with the weakest common directions replaced by each model's own.",
            paper=PAPER + "section 5 (Iso-CTS)",
            formula="b + lambda mean(S) P(U) P(V)^T, the triples U, S, V being the leading ones of sum_i (x_i - b), "
            "then of each (I - U U^T)(x_i - b), P(A) the nearest orthogonal matrix",
            deviations="Tensors without two dimensions: lambda times the mean task vector. What is left when the own "
            "directions are dealt out evenly goes to the common ones.",
            parameters=(
                Parameter("lambda", "factor of the merged task vector", "float", 1.0),
                Parameter("common", "share of the directions that are common", "float", 0.8, low=0.0, high=1.0),
            ),
            laws=("identity", "permutation"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            helps="Fourteen and more fine-tunes of a vision model: above Iso-C there (Marczak et al.).",
            fails="As iso_c.",
            example={"lambda": 1.0, "common": 0.8},
        ),
        matrix,
        decompositions,
    )
)
