"""Task arithmetic: the base plus a weighted sum of task vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from suture.methods.gram import Gram
from suture.methods.linear import zero_sum
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo, SpanMethod

PARAMETERS = (
    Parameter("weight", "factor of the model's task vector", "float", per_model=True),
    Parameter("lambda", "factor of the sum of task vectors", "float", default=1.0),
    Parameter("normalize", "divide by the sum of the weights", "bool", default=False),
)


def over_base(weight: Sequence[float], lambda_: float, divisor: float) -> tuple[float, ...]:
    """Coefficients of base and models in b + lambda/divisor sum_i w_i (x_i - b)."""
    models = tuple(w * (lambda_ / divisor) for w in weight)
    return (1.0 - fsum(models), *models)


def weights(
    gram: Gram | None, inputs: int, *, weight: tuple[float, ...], lambda_: float, normalize: bool
) -> tuple[float, ...]:
    """1 - sum of the models' coefficients for the base, then lambda w_i (over the sum of w when normalised)."""
    return over_base(weight, lambda_, fsum(weight) if normalize else 1.0)


register(
    SpanMethod(
        MethodInfo(
            name="task_arithmetic",
            shape="span",
            summary="Base plus the weighted sum of the task vectors (model - base).",
            paper="Ilharco et al., Editing models with task arithmetic, ICLR 2023, arXiv 2212.04089, section 2",
            formula="b + lambda sum_i w_i (x_i - b)",
            deviations="The paper has one factor (our lambda); weights per model are the field's habit. Weights that "
            "add up to 0 are refused when normalised.",
            parameters=PARAMETERS,
            laws=("identity", "endpoints", "permutation", "scale"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            check=zero_sum,
            tier="core",
            helps="Adding what one fine-tune learnt to another, or taking it away with a negative weight (Ilharco et "
            "al.); chat vectors and instruction residuals are it.",
            fails="Many task vectors that disagree, each at full weight: their interference is what TIES and the "
            "methods after it set out from.",
            example={"weight": 0.5, "lambda": 1.0},
        ),
        weights,
    )
)
