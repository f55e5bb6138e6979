"""RegMean: the layer whose outputs on each model's own inputs stay nearest to that model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.methods.contrib.arrays import Array, double, gram_bytes, library, moved
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MatrixMethod, MethodInfo


def shrunk(gram: Array, scale: float) -> Array:
    """The Gram matrix with its elements off the diagonal multiplied by `scale`."""
    gram = double(gram)
    xp = library(gram)
    return scale * gram + (1.0 - scale) * xp.diag(xp.diag(gram))


def matrix(tensors: Sequence[Any], *, information: Sequence[Any], scale: float) -> Any:
    """x_0 + (sum_i (x_i - x_0) G_i) (sum_i G_i)^-1; the mean where a model has no Gram matrix for the tensor."""
    first = tensors[0]
    deltas = [double(x) - double(first) for x in tensors]
    if first.ndim < 2 or not information or any(gram is None for gram in information):
        return moved(first, sum(deltas) / len(deltas))
    grams = [shrunk(gram, scale) for gram in information]
    pull = sum(delta.reshape(first.shape[0], -1) @ gram for delta, gram in zip(deltas, grams, strict=True))
    total = sum(grams)
    xp = library(total)
    silent = xp.diag(total) <= 0  # features that no text has switched on
    total = total + xp.diag(double(silent))
    mean = sum(deltas).reshape(first.shape[0], -1) / len(deltas)
    solved = xp.linalg.solve(total, xp.where(silent[None, :], mean, pull).T).T
    return moved(first, solved.reshape(first.shape))


register(
    MatrixMethod(
        MethodInfo(
            name="regmean",
            shape="matrix",
            summary="Each linear layer solved so that its outputs on every model's inputs stay nearest to that "
            "model's.",
            paper="Jin et al., Dataless knowledge fusion by merging weights of language models, ICLR 2023, "
            "arXiv 2212.09849, section 3 (RegMean)",
            formula="(sum_i x_i G_i) (sum_i G_i)^-1, G_i = scale X_i^T X_i + (1 - scale) diag(X_i^T X_i), X_i the "
            "layer's inputs in model i",
            deviations="Solved for the difference to the first model, which loses no digits. Features that no text "
            "switches on, and tensors without a Gram matrix, get the mean.",
            parameters=(
                Parameter(
                    "scale", "factor of what lies off the diagonal", "float", 0.9, low=0.0, high=1.0, high_open=True
                ),
            ),
            laws=("identity", "permutation"),
            min_inputs=2,
            max_inputs=None,
            base="none",
            information="gram",
            helps="Models for different tasks or domains with some texts of each: above the mean and Fisher merging in "
            "the study of its authors (Jin et al., encoders and T5).",
            fails="Few texts: the Gram matrix of a wide layer is then singular. For large decoders gains are small.",
            example={"scale": 0.9},
        ),
        matrix,
        gram_bytes,
    )
)
