"""Fisher merging: the mean weighted, element by element, by how sure each model is of the element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Block, Blocks, ElementwiseMethod, MethodInfo, Reduction, Steps, Sums


def totals(steps: Steps, blocks: Blocks, found: Mapping[str, Any], **_: Any) -> Sums:
    """The sum of each model's information."""
    zero = steps.empty_like(blocks.inputs[0])
    zero[:] = 0.0
    return np.array([steps.l1_distances(information, zero, zero)[0] for information in blocks.information])


def mean(sums: Sums, found: Mapping[str, Any], *, elements: int, **_: Any) -> float:
    """The mean information of an element of a model."""
    return float(sums.mean()) / max(elements, 1) if len(sums) else 0.0


def statistics(**_: Any) -> tuple[Reduction, ...]:
    """What the floor is measured by."""
    return (Reduction("mean", totals, conclude=mean),)


def combine(
    steps: Steps,
    blocks: Blocks,
    found: Mapping[str, Any],
    out: Block,
    *,
    weight: tuple[float, ...],
    floor: float,
) -> None:
    """x_0 plus the weighted differences to it; the plain weighted mean for a tensor without information."""
    first, *others = blocks.inputs
    least = floor * found["mean"]
    if not blocks.information or least == 0.0:
        steps.weighted_sum(blocks.inputs, [w / sum(weight) for w in weight], out)
        return
    shares = [w * (information + least) for w, information in zip(weight, blocks.information, strict=True)]
    moves = sum(share * (x - first) for share, x in zip(shares[1:], others, strict=True)) / sum(shares)
    out[:] = first + moves
    still = moves == 0
    out[still] = first[still]


register(
    ElementwiseMethod(
        MethodInfo(
            name="fisher",
            shape="elementwise",
            summary="Mean weighted, element by element, by each model's Fisher information.",
            paper="Matena & Raffel, Merging models with Fisher-weighted averaging, NeurIPS 2022, "
            "arXiv 2111.09832, section 2 (Fisher merging)",
            formula="sum_i w_i F_i x_i / sum_i w_i F_i, F_i the diagonal of the empirical Fisher information",
            deviations="A share `floor` of the tensor's mean information is added to every F_i, so that elements of "
            "which no model knows anything get the weighted mean. Tensors without information get it too.",
            parameters=(
                Parameter("weight", "share of the model", "float", 1.0, low=0.0, low_open=True, per_model=True),
                Parameter("floor", "share of the mean information added", "float", 1e-3, low=0.0, low_open=True),
            ),
            laws=("identity", "permutation"),
            min_inputs=2,
            max_inputs=None,
            base="none",
            information="fisher",
            helps="Models for different tasks with some labelled data of each: above the plain mean in the study of "
            "its authors (Matena & Raffel).",
            fails="Fisher information of few texts is noisy; for large language models no study shows a gain over task "
            "arithmetic that pays for it.",
            example={"weight": 1.0},
        ),
        statistics,
        combine,
    )
)
