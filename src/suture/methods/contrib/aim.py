"""AIM: task arithmetic, held back in the features whose activations are large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.methods.contrib.arrays import Array, double, gram_bytes, library, moved
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MatrixMethod, MethodInfo


def amplitudes(information: Sequence[Array]) -> Array:
    """(features,): root mean square over the models, each one's squares scaled to add up to 1; the largest is 1."""
    xp = library(information[0])
    squares = [xp.diag(double(gram)) for gram in information]
    sizes = xp.sqrt(sum(s / s.sum() for s in squares if bool(s.sum() > 0)) + 0.0 * squares[0])
    largest = sizes.max()
    return sizes / largest if bool(largest > 0) else sizes


def matrix(
    tensors: Sequence[Any], *, information: Sequence[Any], weight: tuple[float, ...], lambda_: float, omega: float
) -> Any:
    """base + (1 - (1 - omega) a) lambda sum_i w_i (x_i - base), a a factor of each column."""
    base, *models = tensors
    delta = lambda_ * sum(w * (double(x) - double(base)) for w, x in zip(weight, models, strict=True))
    if base.ndim < 2 or not information or any(gram is None for gram in information):
        return moved(base, delta)
    held = 1.0 - (1.0 - omega) * amplitudes(information)
    return moved(base, (delta.reshape(base.shape[0], -1) * held).reshape(base.shape))


register(
    MatrixMethod(
        MethodInfo(
            name="aim",
            shape="matrix",
            summary="Task arithmetic whose changes are held back in the features with large activations.",
            paper="Nobari et al., Activation-informed merging of large language models, 2025, arXiv 2502.02421, "
            "section 3",
            formula="b + (1 - (1 - omega) a) lambda sum_i w_i (x_i - b), a = activation of the feature / the largest",
            deviations="Activations are root mean squares from the Gram matrices of `suture calibrate`, the mean over "
            "the models' own, where the paper takes mean magnitudes of the base. The merge that is held back is task "
            "arithmetic; the paper's is any.",
            parameters=(
                Parameter("weight", "factor of the model's task vector", "float", per_model=True),
                Parameter("lambda", "factor of the sum of task vectors", "float", 1.0),
                Parameter(
                    "omega", "what is left of the change in the largest feature", "float", 0.4, low=0.0, high=1.0
                ),
            ),
            laws=("identity", "permutation", "scale but for rounding", "task_arithmetic at omega 1"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            information="gram",
            helps="Merges of instruct, mathematics and code models: most methods gain on most measures in the study of "
            "its authors (Nobari et al.).",
            fails="Where the change itself is wanted: it is a pull towards the base.",
            example={"weight": 0.5, "omega": 0.4},
        ),
        matrix,
        gram_bytes,
    )
)
