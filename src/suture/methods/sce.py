"""SCE: select where the models differ most, weigh models by their squared task vectors, erase the minority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suture.methods.masks import stretch_of
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.selection import Pairs, bounds, selection
from suture.methods.shapes import Block, Blocks, Counts, ElementwiseMethod, MethodInfo, Reduction, Steps, Sums
from suture.methods.task_vectors import INT8_MASK

SMALLEST_SUM = 1e-6


def spread(steps: Steps, blocks: Blocks, **_: Any) -> Pairs:
    """The variance across models at each place, to be ordered."""
    base, *models = blocks.inputs
    out = steps.empty_like(base)
    steps.variances(base, models, out)
    zero = steps.empty_like(base)
    zero[:] = 0.0
    return [(out, zero)]


def zeros(steps: Steps, blocks: Blocks, found: Mapping[str, Any], **_: Any) -> Counts:
    """At how many places all models agree."""
    [(variance, zero)] = spread(steps, blocks)
    return np.array([steps.equal_count(variance, zero, 0)])


def selected(elements: int, found: Mapping[str, Any], *, select_topk: float, **_: Any) -> Counts:
    """How many places: a share of those where the models differ."""
    return np.array([[int(select_topk * (elements - int(found["zeros"][0])))]])


def rows_of(steps: Steps, blocks: Blocks, found: Mapping[str, Any]) -> Block:
    """The models at the places selected, the base elsewhere."""
    base, *models = blocks.inputs
    rows = steps.empty_rows(base, len(models))
    if "rank" not in found:
        for model, row in zip(models, rows, strict=True):
            row[:] = model
        return rows
    pairs = spread(steps, blocks)
    [[bound]] = bounds(found, stretch_of(steps, blocks, pairs))
    for model, row in zip(models, rows, strict=True):
        steps.kept_by_score(model, base, pairs[0][0], bound, row)
    return rows


def squares(steps: Steps, blocks: Blocks, found: Mapping[str, Any], **_: Any) -> Sums:
    """(models,): squared norms of the task vectors at the places selected."""
    rows = rows_of(steps, blocks, found)
    return np.array([steps.gram_segment([blocks.inputs[0], row], 0)[1, 1] for row in rows])


def shares(sums: Sums, found: Mapping[str, Any], *, elements: int, **_: Any) -> Sums:
    """The models' weights, which add up to 1."""
    means = sums / max(elements, 1)
    return means / means.sum() if means.sum() >= SMALLEST_SUM else np.full(len(means), 1.0 / len(means))


def statistics(*, select_topk: float, **_: Any) -> tuple[Reduction, ...]:
    """The bound of the variances, where not all places are selected; the weights."""
    if select_topk >= 1.0:
        return (Reduction("shares", squares, conclude=shares),)
    order = [Reduction("zeros", zeros, by="count"), *selection(spread, selected, after=("zeros",))]
    return (*order, Reduction("shares", squares, after=tuple(r.name for r in order), conclude=shares))


def combine(steps: Steps, blocks: Blocks, found: Mapping[str, Any], out: Block, **_: Any) -> None:
    """The weighted mean of those of the elected sign; every model has one vote for its magnitude."""
    weight, rows = found["shares"].tolist(), rows_of(steps, blocks, found)
    ones = [1.0] * len(weight)
    steps.elected(blocks.inputs[0], rows, weight, ones, 1.0, True, out, ballot=ones)


register(
    ElementwiseMethod(
        MethodInfo(
            name="sce",
            shape="elementwise",
            summary="Where models differ most, the mean of the elected sign, weighted by squared task vectors.",
            paper="Wan et al., FuseChat, 2024, arXiv 2408.07990 (SCE: select, calculate, erase)",
            formula="b + sum_i [sign d_i = s] w_i d_i / sum_i [sign d_i = s] w_i, d_i = m (x_i - b), m = 1 at the "
            "select_topk of largest variance across models, w_i = mean(d_i^2) / sum_j mean(d_j^2), s = sign(sum_i d_i)",
            deviations="The share is of the places where the variance is not 0, and weights are equal where the mean "
            "squares add up to less than 1e-6, both as in the field's reference merger; equal variances go in the "
            "order of their place. Variances and squares are summed in fp64.",
            parameters=(
                Parameter("select_topk", "share of places selected", "float", 1.0, low=0.0, high=1.0, low_open=True),
                INT8_MASK,
            ),
            laws=("identity", "permutation", "scale"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            tier="compat",
            helps="Fine-tunes of one base by the same recipe on targets from different teachers (Wan et al.).",
            fails="Models of very different distance to the base: the weights follow the square of it, so that the "
            "farthest one decides nearly alone.",
            example={"select_topk": 0.5},
        ),
        statistics,
        combine,
    )
)
