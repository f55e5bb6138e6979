"""RAM+ with factors of each tensor: what one model alone changed is amplified by how much it shares with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.methods.parameters import Parameter
from suture.methods.ram import EPSILON, PAPER
from suture.methods.registry import register
from suture.methods.shapes import Block, Blocks, Counts, ElementwiseMethod, MethodInfo, Reduction, Steps


def overlap(steps: Steps, blocks: Blocks, found: Mapping[str, Any], *, epsilon: float, **_: Any) -> Counts:
    """(2, models): places changed by the model alone, and with others."""
    base, *models = blocks.inputs
    return steps.active_counts(base, models, epsilon)


def statistics(**_: Any) -> tuple[Reduction, ...]:
    """The counts of places."""
    return (Reduction("overlap", overlap, by="count"),)


def factors(counts: Counts, r: float, alpha: float) -> list[float]:
    """1 + r clip(shared / alone, 0, alpha) for each model; nothing is alone where that is not defined."""
    return [1.0 + r * min(shared / alone, alpha) if alone else 1.0 for alone, shared in counts.T.tolist()]


def combine(
    steps: Steps,
    blocks: Blocks,
    found: Mapping[str, Any],
    out: Block,
    *,
    epsilon: float,
    r: float,
    alpha: float,
) -> None:
    """The mean over those that changed the element, amplified where it is one."""
    base, *models = blocks.inputs
    steps.active_means(base, models, epsilon, factors(found["overlap"], r, alpha), out)


register(
    ElementwiseMethod(
        MethodInfo(
            name="ramplus_tl",
            shape="elementwise",
            summary="As ram, with what one model alone changed amplified by how much of its change is shared.",
            paper=PAPER + ", its RAM+ with the counts of each tensor",
            formula="as ram; where model i alone changed the element b + l_i (x_i - b), "
            "l_i = 1 + r clip(shared_i / alone_i, 0, alpha), counts of places in the tensor",
            deviations="None known.",
            parameters=(
                EPSILON,
                Parameter("r", "strength of the amplification", "float", 0.1, low=0.0),
                Parameter("alpha", "bound of the ratio of shared to own places", "float", 0.2, low=0.0),
            ),
            laws=("identity", "permutation"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            tier="compat",
            helps="As ram, where a model shares much of its change and its own part would be drowned.",
            fails="As ram.",
            example={"r": 0.1, "alpha": 0.2},
        ),
        statistics,
        combine,
    )
)
