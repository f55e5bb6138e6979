"""The family of the task vector: drop elements, rescale, elect signs or not, sum, scale, add to the base.

Each member says which elements of the models it keeps; dropped ones are the base's own. Everything else is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import fsum
from typing import Any

import numpy as np

from suture.methods.masks import Mask, Sparse, Stretch, Terms, keep_by
from suture.methods.parameters import Parameter
from suture.methods.shapes import Block, Blocks, Counts, ElementwiseMethod, MethodInfo, Reduction, Steps, Sums
from suture.methods.task_arithmetic import over_base

SMALLEST_L1 = 1e-7
"""A task vector whose L1 norm, whole or thinned, lies below this is not rescaled."""

Keep = Callable[..., None]
"""keep(steps, blocks, found, rows, **parameters): each model into its row, the base where an element is dropped."""

DENSITY = Parameter("density", "share kept", "float", 1.0, low=0.0, high=1.0, low_open=True, per_model=True)
INT8_MASK = Parameter("int8_mask", "accepted from recipes of the reference merger, without effect", "bool", False)


def common(*, normalize: bool) -> tuple[Parameter, ...]:
    """The parameters that every member has, `normalize` with the given default."""
    divisor = "divide by the sum of the weights (of those that agree, where signs are elected)"
    return (
        Parameter("weight", "factor of the model's task vector", "float", per_model=True),
        DENSITY,
        Parameter("lambda", "factor of the sum of task vectors", "float", 1.0),
        Parameter("normalize", divisor, "bool", normalize),
        INT8_MASK,
    )


def rescaling(default: str, *words: str) -> Parameter:
    """What makes up for dropped elements: "none", "l1" (the ratio of the L1 norms), and the method's own words."""
    choices = ("none", "l1", *words)
    meaning = "what makes up for dropped elements"
    return Parameter("rescale", meaning, "choice", default, choices=choices, booleans=("none", "l1"))


def _no_reductions(**parameters: Any) -> tuple[Reduction, ...]:
    return ()


def _no_masks(found: Mapping[str, Any], stretch: Stretch, *, density: tuple[float, ...], **_: Any) -> list[Mask]:
    return [Mask()] * len(density)


def _no_factors(**parameters: Any) -> list[float] | None:
    return None


def sparse_method(
    info: MethodInfo,
    *,
    elect: bool,
    masks: Callable[..., list[Mask]] | None = None,
    keep: Keep | None = None,
    ranks: Callable[..., Counts] | None = None,
    before: Callable[..., tuple[Reduction, ...]] = _no_reductions,
    factors: Callable[..., list[float] | None] = _no_factors,
    whole_rows: Callable[..., bool] = lambda **parameters: False,
) -> ElementwiseMethod:
    """A member of the family.

    elect: whether signs are elected. masks, or keep where no mask says it: what is kept. ranks: as `Sparse` has it.
    before(**parameters): the reductions that this needs. factors(**parameters): what kept differences are multiplied
    with, where neither 1 nor the ratio of the L1 norms.
    """
    kept_by = keep or keep_by(masks or _no_masks)

    def rows_of(steps: Steps, blocks: Blocks, found: Mapping[str, Any], params: Mapping[str, Any]) -> Block:
        rows = steps.empty_rows(blocks.inputs[0], len(blocks.inputs) - 1)
        kept_by(steps, blocks, found, rows, **params)
        return rows

    def l1_norms(steps: Steps, blocks: Blocks, found: Mapping[str, Any], **params: Any) -> Sums:
        """(2, models): L1 norms of the task vectors, whole and as kept."""
        base, *models = blocks.inputs
        rows = rows_of(steps, blocks, found, params)
        return np.array([steps.l1_distances(x, row, base) for x, row in zip(models, rows, strict=True)]).T

    def statistics(**params: Any) -> tuple[Reduction, ...]:
        if min(params["density"]) >= 1.0:
            return ()
        needed = before(**params)
        if params["rescale"] != "l1":
            return needed
        return (*needed, Reduction("l1", l1_norms, after=tuple(r.name for r in needed), norms=True))

    def terms(found: Mapping[str, Any], **params: Any) -> Terms:
        factor = ratios(found["l1"]) if "l1" in found else factors(**params) or [1.0] * len(params["weight"])
        return Terms(params["weight"], factor, params["lambda_"], params["normalize"])

    def combine(steps: Steps, blocks: Blocks, found: Mapping[str, Any], out: Block, **params: Any) -> None:
        weight, factor, lambda_, normalize = terms(found, **params)
        rows, base = rows_of(steps, blocks, found, params), blocks.inputs[0]
        if elect:
            steps.elected(base, rows, weight, factor, lambda_, normalize, out)
        else:
            scaled = [w * f for w, f in zip(weight, factor, strict=True)]
            steps.weighted_sum([base, *rows], over_base(scaled, lambda_, fsum(weight) if normalize else 1.0), out)

    sparse = Sparse(masks, terms, elect, ranks) if masks is not None else None
    return ElementwiseMethod(info, statistics, combine, whole_rows, sparse)


def ratios(norms: Sums) -> list[float]:
    """The ratio of the L1 norms (2, models), whole over kept, which makes up for the drop; 1 where one vanishes."""
    return [whole / kept if min(whole, kept) >= SMALLEST_L1 else 1.0 for whole, kept in norms.T.tolist()]
