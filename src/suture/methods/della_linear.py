"""DELLA without election: drop elements at random, those of small magnitude more often, then task arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.methods.della import DEVIATIONS, EPSILON, FAILS, HELPS, PAPER, keep, outside, whole_rows
from suture.methods.linear import zero_sum
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo
from suture.methods.task_vectors import common, rescaling, sparse_method


def problems(parameters: Mapping[str, Any]) -> list[str]:
    """Weights that cannot be normalised, probabilities outside their range."""
    return [*zero_sum(parameters), *outside(parameters)]


register(
    sparse_method(
        MethodInfo(
            name="della_linear",
            shape="elementwise",
            summary="Task arithmetic on task vectors dropped at random, small elements more often.",
            paper=PAPER,
            formula="b + lambda sum_i w_i m_i (x_i - b) / p_i, m_i ~ Bernoulli(p_i), "
            "p_i = density - eps + 2 eps (rank - 1) / (n - 1)",
            deviations=DEVIATIONS,
            parameters=(*common(normalize=False), EPSILON, rescaling("l1", "expectation")),
            laws=("identity", "endpoints", "task_arithmetic at density 1"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            check=problems,
            tier="compat",
            helps=HELPS,
            fails=FAILS,
            example={"weight": 0.5, "density": 0.6, "epsilon": 0.2},
        ),
        keep=keep,
        elect=False,
        whole_rows=whole_rows,
    )
)
