"""DELLA: drop elements at random, those of small magnitude more often; elect signs; sum those that agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import Block, Blocks, MethodInfo, Steps
from suture.methods.task_vectors import common, rescaling, sparse_method


def keep(
    steps: Steps,
    blocks: Blocks,
    found: Mapping[str, Any],
    rows: Block,
    *,
    density: tuple[float, ...],
    epsilon: tuple[float, ...],
    rescale: str,
    **_: Any,
) -> None:
    """The models where a draw of the probability of the element's rank keeps it, the base elsewhere."""
    base, *models = blocks.inputs
    divided = rescale == "expectation"
    memory = blocks.remembered
    for number, (model, row, key, p, e) in enumerate(zip(models, rows, blocks.keys, density, epsilon, strict=True)):
        bits = memory.part(number, blocks.start, len(base)) if memory is not None else None
        if p >= 1.0:
            row[:] = model
        elif bits is not None and memory is not None and memory.complete:
            steps.unpack_kept(bits, model, base, row)
        else:
            steps.thinned_by_rank(model, base, key, blocks.start, blocks.columns, p, e, divided, row)
            if bits is not None:
                steps.pack_kept(row, base, bits)


def whole_rows(*, density: tuple[float, ...], **_: Any) -> bool:
    """Where something is dropped, by rank in the row."""
    return min(density) < 1.0


def outside(parameters: Mapping[str, Any]) -> list[str]:
    """The problem of probabilities that leave (0, 1)."""
    pairs = zip(parameters["density"], parameters["epsilon"], strict=True)
    return [
        f"density - epsilon and density + epsilon must lie in (0, 1) where density is not 1. Got {p:g} and {e:g}."
        for p, e in pairs
        if p < 1.0 and not (e < p < 1.0 - e)
    ]


PAPER = "Deep et al., DELLA-Merging, 2024, arXiv 2406.11617, section 3 (MAGPRUNE)"
DEVIATIONS = (
    "density and epsilon speak of keeping, the paper's p and epsilon of dropping; epsilon is half the paper's range. "
    "Ranks are those in each row, exact, equal magnitudes in the order of their place; a row of one keeps with "
    'probability density. rescale "expectation" divides by each element\'s own probability, as in the paper; "l1", '
    "the default as in the field's reference merger, multiplies with the ratio of the L1 norms. "
)
EPSILON = Parameter("epsilon", "half the range of probabilities", "float", 0.15, low=0.0, high=0.5, per_model=True)
HELPS = "Supervised fine-tunes that also bear DARE: above it on average in the study of its authors (Deep et al.)."
FAILS = "As DARE: task vectors of continued pre-training. Slower than DARE, since it ranks every row."

register(
    sparse_method(
        MethodInfo(
            name="della",
            shape="elementwise",
            summary="Task vectors dropped at random, small elements more often; the mean of those of the elected sign.",
            paper=PAPER,
            formula="b + lambda sum_i [sign d_i = s] d_i / sum_i [sign d_i = s] w_i, d_i = w_i m_i (x_i - b) / p_i, "
            "m_i ~ Bernoulli(p_i), p_i = density - eps + 2 eps (rank - 1) / (n - 1), s = sign(sum_i d_i)",
            deviations=DEVIATIONS + "An even vote counts as positive.",
            parameters=(*common(normalize=True), EPSILON, rescaling("l1", "expectation")),
            laws=("identity", "endpoints", "task_arithmetic without conflict"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            check=outside,
            tier="compat",
            helps=HELPS,
            fails=FAILS,
            example={"weight": 0.5, "density": 0.6, "epsilon": 0.2, "normalize": True},
        ),
        keep=keep,
        elect=True,
        whole_rows=whole_rows,
    )
)
