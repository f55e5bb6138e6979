"""Multislerp: the weighted mean of directions, with the weighted mean of norms."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.methods.gram import Gram
from suture.methods.linear import zero_sum
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo, SpanMethod


def vectors(gram: Gram, inputs: int, models: int) -> NDArray[np.float64]:
    """(models, models): inner products of the models, of their differences to the base where an input precedes them."""
    if inputs == models:
        return np.array([[gram.dot(i, j) for j in range(models)] for i in range(models)])
    return np.array([[gram.delta_dot(i + 1, j + 1) for j in range(models)] for i in range(models)])


def weights(
    gram: Gram | None, inputs: int, *, weight: tuple[float, ...], normalize_weights: bool, eps: float
) -> tuple[Any, ...]:
    """w_i / |x_i|, over the norm of the sum of such, times the mean norm; the weights where that norm vanishes."""
    assert gram is not None
    share = np.array(weight) / (sum(weight) if normalize_weights else 1.0)
    if len(weight) > 1:
        products = vectors(gram, inputs, len(weight))
        norms = np.sqrt(np.maximum(np.diag(products), 0.0))
        units = share / (norms + eps)
        length = sqrt(max(float(units @ products @ units), 0.0))
        share = units / length * (share @ norms) if length >= eps else share
    else:
        share = np.ones(1)
    found = tuple(share.tolist())
    return found if inputs == len(weight) else (1.0 - sum(found), *found)


def problems(parameters: Any) -> list[str]:
    """Weights that cannot be normalised."""
    given = {"weight": parameters["weight"], "normalize": parameters["normalize_weights"]}
    return [sentence.replace("normalize is", "normalize_weights is") for sentence in zero_sum(given)]


register(
    SpanMethod(
        MethodInfo(
            name="multislerp",
            shape="span",
            summary="The weighted mean of the directions of models or task vectors, at the mean of their norms.",
            paper="No paper; Buss & Fillmore, Spherical averages, ACM TOG 2001, section 3, start of their algorithm",
            formula="m sum_i w_i |x_i|, m = sum_i w_i u_i / |sum_i w_i u_i|, u_i = x_i / |x_i|; with a base "
            "b + the same of x_i - b",
            deviations="The field's reference merger adds a step along sum_i w_i (u_i - (u_i.m) m), which is 0 for "
            "every input; it is left out. Where the mean direction vanishes the plain weighted sum is taken, for any "
            "number of models.",
            parameters=(
                Parameter("weight", "share of the model", "float", per_model=True),
                Parameter("normalize_weights", "divide by the sum of the weights", "bool", True),
                Parameter("eps", "norms and mean directions below this vanish", "float", 1e-8, low=0.0, low_open=True),
            ),
            laws=("identity but for rounding", "permutation", "scale but for rounding"),
            min_inputs=1,
            max_inputs=None,
            base="optional",
            check=problems,
            tier="compat",
            helps="Three or more models far apart, where a straight mean shrinks the norm.",
            fails="Close parents: nothing differs from linear. No study shows a gain over it.",
            example={"weight": 0.5},
        ),
        weights,
        needs_gram=True,
    )
)
