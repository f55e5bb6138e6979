"""DARE: drop elements of the task vectors at random and rescale what is left, then task arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Any

import numpy as np

from suture.methods.linear import zero_sum
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Block, Blocks, ElementwiseMethod, MethodInfo, Reduction, Steps, Sums
from suture.methods.task_arithmetic import PARAMETERS, over_base

SMALLEST_L1 = 1e-7


def thinned(steps: Steps, blocks: Blocks, density: tuple[float, ...]) -> list[Block]:
    """The models with dropped elements set back to the base."""
    base, *models = blocks.inputs
    return [
        steps.thinned(model, base, key, blocks.start, p)
        for model, key, p in zip(models, blocks.keys, density, strict=True)
    ]


def l1_norms(steps: Steps, blocks: Blocks, found: Mapping[str, Any], *, density: tuple[float, ...], **_: Any) -> Sums:
    """(2, models): L1 norms of the task vectors, whole and thinned."""
    base, *models = blocks.inputs
    return np.array(
        [[steps.l1_distance(x, base) for x in group] for group in (models, thinned(steps, blocks, density))]
    )


def statistics(*, rescale: str, **_: Any) -> tuple[Reduction, ...]:
    """The L1 norms, where they set the scale."""
    return (Reduction("l1", l1_norms),) if rescale == "l1" else ()


def factors(statistics: Mapping[str, Sums], density: tuple[float, ...]) -> list[float]:
    """What makes up for the dropped elements, one factor for each model."""
    if "l1" not in statistics:
        return [1.0 / p for p in density]
    return [whole / kept if min(whole, kept) >= SMALLEST_L1 else 1.0 for whole, kept in statistics["l1"].T.tolist()]


def combine(
    steps: Steps,
    blocks: Blocks,
    statistics: Mapping[str, Sums],
    out: Block,
    *,
    weight: tuple[float, ...],
    density: tuple[float, ...],
    rescale: str,
    lambda_: float,
    normalize: bool,
) -> None:
    """Task arithmetic on the thinned models."""
    scaled = [w * factor for w, factor in zip(weight, factors(statistics, density), strict=True)]
    coefficients = over_base(scaled, lambda_, fsum(weight) if normalize else 1.0)
    steps.weighted_sum([blocks.inputs[0], *thinned(steps, blocks, density)], coefficients, out)


register(
    ElementwiseMethod(
        MethodInfo(
            name="dare_linear",
            shape="elementwise",
            summary="Task arithmetic on task vectors with elements dropped at random and the rest rescaled.",
            paper="Yu et al., Language models are Super Mario, ICML 2024, arXiv 2311.03099, section 3 (DARE)",
            formula="b + lambda sum_i w_i m_i (x_i - b) / p_i, m_i ~ Bernoulli(p_i)",
            deviations='Draws are keyed by seed, tensor and model. rescale "l1" replaces 1/p by the ratio of the L1 '
            "norms before and after dropping, as the field's reference merger does.",
            parameters=(
                *PARAMETERS,
                Parameter(
                    "density", "share kept", "float", low=0.0, high=1.0, low_open=True, per_model=True, default=1.0
                ),
                Parameter(
                    "rescale", "what makes up for the drop", "choice", "expectation", choices=("expectation", "l1")
                ),
            ),
            laws=("identity", "endpoints", "task_arithmetic at density 1", "kept count"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            check=zero_sum,
        ),
        statistics,
        combine,
    )
)
