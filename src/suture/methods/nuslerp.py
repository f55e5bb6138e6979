"""NuSLERP: the great arc between two tensors or two task vectors; of whole tensors, rows or columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from suture.methods.gram import Gram, coefficients
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Group, MethodInfo, SpanMethod

SMALLEST_NORM, COLLINEAR, SMALLEST_SUM = 1e-7, 1e-16, 1e-6


def group(*, nuslerp_flatten: bool, nuslerp_row_wise: bool, **_: Any) -> Group:
    """Whole tensors, or vectors along the last dimension, or (row_wise) along the first."""
    return "tensor" if nuslerp_flatten else "column" if nuslerp_row_wise else "row"


def cosine(gram: Gram) -> Any:
    """Cosine of the last two inputs, of their differences to the base where there are three."""
    if gram.matrix.shape[-1] == 3:
        dot, norms = gram.delta_dot(1, 2), (gram.delta_norm(1), gram.delta_norm(2))
    else:
        dot, norms = gram.dot(0, 1), (gram.norm(0), gram.norm(1))
    floors = np.maximum(norms[0], SMALLEST_NORM) * np.maximum(norms[1], SMALLEST_NORM)
    return np.clip(dot / floors, -1.0, 1.0)


def takes_arc(gram: Gram) -> bool:
    """Whether any group leaves the straight line."""
    return bool(np.any(1.0 - cosine(gram) ** 2 > COLLINEAR))


def weights(gram: Gram | None, inputs: int, *, weight: tuple[float, ...], **_: Any) -> tuple[Any, ...]:
    """The coefficients of slerp at t = w_2 / (w_1 + w_2); with a base those of the task vectors, and the rest."""
    assert gram is not None
    total = weight[0] + weight[1]
    t = weight[1] / total if abs(total) >= SMALLEST_SUM else 0.5
    cos = cosine(gram)
    straight = 1.0 - cos**2 <= COLLINEAR
    angle = np.arccos(np.where(straight, 0.0, cos))
    first = np.where(straight, 1.0 - t, np.sin((1.0 - t) * angle) / np.sin(angle))
    second = np.where(straight, t, np.sin(t * angle) / np.sin(angle))
    return coefficients(first, second) if inputs == 2 else coefficients(1.0 - first - second, first, second)


register(
    SpanMethod(
        MethodInfo(
            name="nuslerp",
            shape="span",
            summary="Spherical interpolation between two models or their task vectors, by tensor, row or column.",
            paper="Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985, spherical linear interpolation",
            formula="(sin((1-t)a) x_1 + sin(t a) x_2) / sin a, t = w_2 / (w_1 + w_2), a = angle(x_1, x_2); with a base "
            "b + the same of x_1 - b, x_2 - b",
            deviations="Norms below 1e-7 count as 1e-7; the straight line where 1 - cos^2 a is at most 1e-16; t is 1/2 "
            "where the weights add up to less than 1e-6. nuslerp_row_wise means vectors along the first dimension, as "
            "the field's reference merger computes it (its documentation says the reverse). Cosines are taken in fp64.",
            parameters=(
                Parameter("weight", "share of the model", "float", per_model=True),
                Parameter("nuslerp_flatten", "take each tensor as one vector", "bool", True),
                Parameter("nuslerp_row_wise", "unflattened: vectors along the first dimension", "bool", False),
            ),
            laws=("identity", "endpoints", "permutation", "scale", "slerp"),
            min_inputs=2,
            max_inputs=2,
            base="optional",
            tier="core",
            helps="Two models of one family: keeps the norm that a straight mean of distant tensors loses. With a base "
            "the task vectors keep theirs, which a plain mean of nearly orthogonal ones shrinks by 0.7.",
            fails="Close parents: nothing differs from linear. Opposed task vectors, where the arc is arbitrary.",
            example={"weight": 0.5},
        ),
        weights,
        needs_gram=True,
        takes_arc=takes_arc,
        group=group,
    )
)
