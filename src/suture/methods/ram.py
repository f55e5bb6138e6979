"""RAM: what one model alone changed is taken as it is, what several changed is averaged over those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Block, Blocks, ElementwiseMethod, MethodInfo, Reduction, Steps

EPSILON = Parameter("epsilon", "changes up to this count as none", "float", 1e-5, low=0.0)
PAPER = "Yuan et al., Behavior Knowledge Merge in reinforced agentic models, 2026, arXiv 2601.13572 (RAM)"


def statistics(**_: Any) -> tuple[Reduction, ...]:
    """Nothing is summed over the tensor."""
    return ()


def combine(steps: Steps, blocks: Blocks, found: Mapping[str, Any], out: Block, *, epsilon: float) -> None:
    """The mean over those that changed the element."""
    base, *models = blocks.inputs
    steps.active_means(base, models, epsilon, [1.0] * len(models), out)


register(
    ElementwiseMethod(
        MethodInfo(
            name="ram",
            shape="elementwise",
            summary="The mean of the task vectors at each place, over the models that changed it.",
            paper=PAPER,
            formula="b + sum_i a_i (x_i - b) / sum_i a_i, a_i = 1 where |x_i - b| > epsilon",
            deviations="Where one model alone changed an element the result is its own bits.",
            parameters=(EPSILON,),
            laws=("identity", "permutation"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            tier="compat",
            helps="Models trained by reinforcement, whose task vectors are sparse and overlap little: a mean over all "
            "models would shrink what one alone learnt.",
            fails="Supervised fine-tunes and continued pre-training change nearly every element: the plain mean.",
            example={"epsilon": 1e-5},
        ),
        statistics,
        combine,
    )
)
