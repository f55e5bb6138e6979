"""Linear: the weighted mean of all inputs."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Any

from suture.methods.gram import Gram
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo, SpanMethod


def zero_sum(parameters: Mapping[str, Any]) -> list[str]:
    """The problem of weights that cannot be normalised."""
    if parameters["normalize"] and abs(fsum(parameters["weight"])) < 1e-8:
        return [f"The weights must not add up to 0 when normalize is true. Got {list(parameters['weight'])}."]
    return []


def weights(gram: Gram | None, inputs: int, *, weight: tuple[float, ...], normalize: bool) -> tuple[float, ...]:
    """w_i, over their sum when normalised."""
    total = fsum(weight) if normalize else 1.0
    return tuple(w / total for w in weight)


register(
    SpanMethod(
        MethodInfo(
            name="linear",
            shape="span",
            summary="Weighted mean of all inputs.",
            paper="Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482, section 2",
            formula="sum_i w_i x_i / sum_i w_i",
            deviations="Weights may be negative or exceed 1 (extrapolation). Weights that add up to 0 are refused "
            "when normalised, where others write NaN.",
            parameters=(
                Parameter("weight", "share of the model", "float", per_model=True),
                Parameter("normalize", "divide by the sum of the weights", "bool", default=True),
            ),
            laws=("identity", "endpoints", "permutation", "scale"),
            min_inputs=1,
            max_inputs=None,
            base="none",
            check=zero_sum,
            tier="core",
            helps="Fine-tunes of one base that lie in one basin: near an ensemble at the cost of one model "
            "(Wortsman et al.). The first thing to try, and what the others have to beat.",
            fails="Models without a common ancestor, and weights far outside [0, 1].",
            example={"weight": 0.5, "normalize": True},
        ),
        weights,
    )
)
