"""Nearswap: take the other model where it lies near the base, less of it the farther away."""

from __future__ import annotations

from collections.abc import Mapping

from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Block, Blocks, ElementwiseMethod, MethodInfo, Reduction, Steps, Sums


def statistics(**parameters: float) -> tuple[Reduction, ...]:
    """Nothing is summed over the tensor."""
    return ()


def combine(steps: Steps, blocks: Blocks, statistics: Mapping[str, Sums], out: Block, *, t: float) -> None:
    """One pass over base and model."""
    base, model = blocks.inputs
    steps.nearswap(base, model, t, out)


register(
    ElementwiseMethod(
        MethodInfo(
            name="nearswap",
            shape="elementwise",
            summary="The other model's elements where they lie within t of the base, fading out beyond.",
            paper="No paper; the model card of alchemonaut/QuartetAnemoi-70B-t0.0001, section NearSwap Algorithm",
            formula="b + w (x - b), w = clip(t / max(|x - b|, 1e-6), 0, 1)",
            deviations="Distances below 1e-6 count as 1e-6, as in the field's reference merger. Anchored at the base: "
            "t = 0 and equal inputs return the base's own bits.",
            parameters=(Parameter("t", "distance up to which the model is taken", "float", low=0.0),),
            laws=("identity", "endpoints"),
            min_inputs=2,
            max_inputs=2,
            base="required",
            tier="compat",
            helps="No study shows a gain; used to take on only small changes.",
            fails="Where the other model's skill lies in its large changes.",
            example={"t": 0.0001},
        ),
        statistics,
        combine,
    )
)
