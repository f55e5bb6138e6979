"""Iso-C: the sum of the task vectors with all its singular values made equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.methods.contrib.arrays import Array, decompositions, on_task_vectors, svd
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MatrixMethod, MethodInfo

PAPER = (
    "Marczak et al., No task left behind: isotropic model merging with common and task-specific subspaces, ICML 2025, "
    "arXiv 2502.04959, "
)


def merged(deltas: list[Array]) -> Array:
    """U mean(S) V^T of the sum."""
    u, s, vh = svd(sum(deltas))
    return s.mean() * (u @ vh)


def matrix(tensors: Sequence[Any], *, lambda_: float) -> Any:
    """base + lambda times the merged task vectors."""
    return on_task_vectors(tensors, merged, lambda_)


register(
    MatrixMethod(
        MethodInfo(
            name="iso_c",
            shape="matrix",
            summary="The sum of task vectors with its spectrum flattened: every direction at the mean strength.",
            paper=PAPER + "section 4 (Iso-C)",
            formula="b + lambda mean(S) U V^T, U S V^T = sum_i (x_i - b)",
            deviations="Tensors without two dimensions: lambda times the mean task vector.",
            parameters=(Parameter("lambda", "factor of the merged task vector", "float", 1.0),),
            laws=("identity", "permutation"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            helps="Eight and more fine-tunes of a vision model, whose shared directions drown the rest (Marczak "
            "et al.).",
            fails="Task vectors with a long tail of noise: it is raised to the mean strength. For two language models "
            "no study shows a gain.",
            example={"lambda": 1.0},
        ),
        matrix,
        decompositions,
    )
)
