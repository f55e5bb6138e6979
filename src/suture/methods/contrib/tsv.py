"""TSV-Merge: each model's leading singular vectors, made orthogonal to one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.methods.contrib.arrays import Array, decompositions, library, on_task_vectors, orthogonal, svd
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MatrixMethod, MethodInfo


def merged(deltas: list[Array]) -> Array:
    """The sum of the leading parts, singular vectors of all models together replaced by the nearest orthogonal ones."""
    xp = library(deltas[0])
    kept = max(1, min(deltas[0].shape) // len(deltas))
    parts = [svd(delta) for delta in deltas]
    left = orthogonal(xp.concatenate([u[:, :kept] for u, _, _ in parts], 1))
    right = orthogonal(xp.concatenate([vh[:kept] for _, _, vh in parts], 0))
    return left @ (xp.concatenate([s[:kept] for _, s, _ in parts])[:, None] * right)


def matrix(tensors: Sequence[Any], *, lambda_: float) -> Any:
    """base + lambda times the merged task vectors."""
    return on_task_vectors(tensors, merged, lambda_)


register(
    MatrixMethod(
        MethodInfo(
            name="tsv",
            shape="matrix",
            summary="Leading singular vectors of each task vector, made orthogonal across models.",
            paper="Gargiulo et al., Task singular vectors, CVPR 2025, arXiv 2412.00081 (TSV-Merge)",
            formula="b + lambda P(U) S P(V)^T, U, S, V the min(m, n) / N leading singular triples of each x_i - b side "
            "by side, P(A) = A (A^T A)^(-1/2)",
            deviations="Tensors without two dimensions: lambda times the mean task vector. One triple a model at "
            "least.",
            parameters=(Parameter("lambda", "factor of the merged task vector", "float", 1.0),),
            laws=("identity", "permutation", "one model is itself"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            helps="Eight and more fine-tunes of a vision model: far above task arithmetic in the study of its "
            "authors (Gargiulo et al.).",
            fails="Two models far from low rank, such as continued pre-training: the half of each that is dropped is "
            "not noise. No study shows a gain for such a pair.",
            example={"lambda": 1.0},
        ),
        matrix,
        decompositions,
    )
)
