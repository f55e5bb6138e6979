"""Model Stock: from the base towards the mean of the models, as far as the angle between their task vectors says."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from suture.methods.gram import Gram, coefficients
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Group, MethodInfo, SpanMethod

SMALLEST = 1e-6


def group(*, filter_wise: bool) -> Group:
    """Each row apart, or the whole tensor."""
    return "row" if filter_wise else "tensor"


def weights(gram: Gram | None, inputs: int, *, filter_wise: bool) -> tuple[Any, ...]:
    """1 - t for the base, t / N for each model, t = N c / (1 + (N - 1) c), c the mean cosine of the task vectors."""
    assert gram is not None
    models = inputs - 1
    cosines = [
        np.clip(gram.delta_dot(i, j) / np.maximum(gram.delta_norm(i) * gram.delta_norm(j), SMALLEST), -1.0, 1.0)
        for i, j in combinations(range(1, inputs), 2)
    ]
    cosine = sum(cosines) / len(cosines)
    divisor = 1.0 + (models - 1) * cosine
    vanishes = np.abs(divisor) < SMALLEST
    t = np.where(vanishes, 0.0, models * cosine / np.where(vanishes, 1.0, divisor))
    return coefficients(1.0 - t, *[t / models] * models)


register(
    SpanMethod(
        MethodInfo(
            name="model_stock",
            shape="span",
            summary="From the base towards the mean of the models, as far as the cosine of their task vectors says.",
            paper="Jang et al., Model Stock, ECCV 2024, arXiv 2403.19522, section 4, and its form for N models",
            formula="t mean_i(x_i) + (1 - t) b, t = N c / (1 + (N - 1) c), c = the mean cosine of x_i - b, x_j - b",
            deviations="c is the mean over all pairs. A product of norms below 1e-6 counts as 1e-6; t is 0 where its "
            "divisor vanishes; both as in the field's reference merger. Cosines come from fp64 sums of exact "
            "differences: from raw bf16 parents a Gram matrix in fp32 shows orthogonal task vectors at 0.16.",
            parameters=(Parameter("filter_wise", "each row has its own t", "bool", False),),
            laws=("identity", "permutation", "scale", "identical task vectors"),
            min_inputs=3,
            max_inputs=None,
            base="required",
            tier="core",
            helps="Two or more fine-tunes of one base on the same task with other seeds: with two near the average of "
            "many (Jang et al.). It has no coefficient to choose.",
            fails="Fine-tunes for different tasks: their task vectors are nearly orthogonal, so that c is near 0 and "
            "the result near the base.",
            example={"filter_wise": False},
        ),
        weights,
        needs_gram=True,
        group=group,
    )
)
