"""Consensus merging: task arithmetic only at the places that matter to several models, by their TALL masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Block, Blocks, ElementwiseMethod, MethodInfo, Reduction, Steps
from suture.methods.task_arithmetic import over_base


def statistics(**_: Any) -> tuple[Reduction, ...]:
    """Nothing is summed over the tensor."""
    return ()


def combine(
    steps: Steps,
    blocks: Blocks,
    found: Mapping[str, Any],
    out: Block,
    *,
    weight: tuple[float, ...],
    threshold: tuple[float, ...],
    least: int,
    lambda_: float,
) -> None:
    """Task arithmetic where enough masks agree, the base elsewhere."""
    base, *models = blocks.inputs
    steps.weighted_sum(blocks.inputs, over_base(weight, 1.0, 1.0), out)
    votes = sum(abs(x - base) >= t * abs(out - x) for x, t in zip(models, threshold, strict=True))
    steps.weighted_sum(blocks.inputs, over_base(weight, lambda_, 1.0), out)
    dropped = votes < min(least, len(models))
    out[dropped] = base[dropped]


register(
    ElementwiseMethod(
        MethodInfo(
            name="consensus",
            shape="elementwise",
            summary="Task arithmetic at the places that matter to at least two models, the base elsewhere.",
            paper="Wang et al., Localizing task information for improved model merging and compression, ICML 2024, "
            "arXiv 2405.07813 (TALL masks, consensus merging)",
            formula="b + lambda m sum_i w_i (x_i - b), m = 1 where at least `least` of "
            "|x_i - b| >= threshold_i |b + sum_j w_j (x_j - b) - x_i| hold",
            deviations="threshold is given rather than chosen on validation data; with fewer models than `least` all "
            "have to agree. Weights per model are ours.",
            parameters=(
                Parameter("weight", "factor of the model's task vector", "float", 1.0, per_model=True),
                Parameter(
                    "threshold", "the paper's lambda_t: strictness of the mask", "float", 0.4, low=0.0, per_model=True
                ),
                Parameter("least", "how many masks have to agree", "int", 2, low=1),
                Parameter("lambda", "factor of the sum of task vectors", "float", 1.0),
            ),
            laws=("identity", "permutation", "scale"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            helps="Eight and more fine-tunes of one base: above task arithmetic and TIES in the study of its authors "
            "(Wang et al., vision and T5 models).",
            fails="Two models: what matters to one alone is dropped, which is mostly what one wants to keep.",
            example={"weight": 0.4, "threshold": 0.4},
        ),
        statistics,
        combine,
    )
)
