"""WUDI: the task vector that interferes least with each of the given ones, taking their rows for the layers' inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.methods.contrib.arrays import Array, gram_bytes, library, on_task_vectors
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MatrixMethod, MethodInfo


def merged(deltas: list[Array], ridge: float) -> Array:
    """The minimiser, solved for its difference to the sum of the task vectors."""
    xp = library(deltas[0])
    total = sum(deltas)
    present = [delta for delta in deltas if bool((delta != 0).any())]
    grams = [delta.T @ delta / (delta**2).sum() for delta in present]
    gram = sum(grams)
    pull = sum((delta - total) @ g for delta, g in zip(present, grams, strict=True))
    weight = ridge * xp.trace(gram) / gram.shape[0]
    penalty = weight * xp.eye(
        gram.shape[0], dtype=gram.dtype, **({} if xp.__name__ == "numpy" else {"device": gram.device})
    )
    return total + xp.linalg.solve(gram + penalty, pull.T).T


def matrix(tensors: Sequence[Any], *, lambda_: float, ridge: float) -> Any:
    """base + lambda times the merged task vectors."""
    return on_task_vectors(tensors, lambda deltas: merged(deltas, ridge), lambda_)


register(
    MatrixMethod(
        MethodInfo(
            name="wudi",
            shape="matrix",
            summary="The task vector that changes the models' outputs least, their own task vectors taken for inputs.",
            paper="Cheng et al., Whoever started the interference should end it, ICML 2025, arXiv 2503.08099, "
            "section 3 (WUDI-Merging)",
            formula="b + lambda argmin_t sum_i |(t - d_i) d_i^T|^2 / |d_i|^2, d_i = x_i - b",
            deviations="The paper takes 300 Adam steps from sum_i d_i; here the minimum is solved for, with a ridge "
            "that pulls towards the same start. Tensors without two dimensions: lambda times the mean task vector.",
            parameters=(
                Parameter("lambda", "factor of the merged task vector", "float", 1.0),
                Parameter("ridge", "pull towards the sum, as a share of the mean curvature", "float", 1e-2, low=1e-8),
            ),
            laws=("identity", "permutation", "one model is itself"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            helps="Several fine-tunes of one base without data: above TSV-Merge on vision and some language tasks in "
            "the study of its authors, by gradient steps.",
            fails="No study of the solved form. Its cost grows with the cube of the width of the layer.",
            example={"lambda": 1.0},
        ),
        matrix,
        gram_bytes,
    )
)
