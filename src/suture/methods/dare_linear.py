"""DARE: drop elements of the task vectors at random and rescale what is left, then task arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.methods.linear import zero_sum
from suture.methods.masks import Mask, Stretch
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo
from suture.methods.task_vectors import common, rescaling, sparse_method


def masks(found: Mapping[str, Any], stretch: Stretch, *, density: tuple[float, ...], **_: Any) -> list[Mask]:
    """Draws that keep an element with probability `density`."""
    return [Mask(draws=(key, p)) if p < 1.0 else Mask() for key, p in zip(stretch.keys, density, strict=True)]


def factors(*, density: tuple[float, ...], rescale: str, **_: Any) -> list[float]:
    """1/p, as in the paper, under "expectation"."""
    return [1.0 / p if rescale == "expectation" else 1.0 for p in density]


PAPER = "Yu et al., Language models are Super Mario, ICML 2024, arXiv 2311.03099, section 3 (DARE)"
DEVIATIONS = (
    'Draws are keyed by seed, tensor and model. rescale "expectation" is the paper\'s 1/p; "l1", the default as in '
    "the field's reference merger, is the ratio of the L1 norms before and after dropping. "
)
PARAMETERS = (*common(normalize=False), rescaling("l1", "expectation"))

register(
    sparse_method(
        MethodInfo(
            name="dare_linear",
            shape="elementwise",
            summary="Task arithmetic on task vectors with elements dropped at random and the rest rescaled.",
            paper=PAPER,
            formula="b + lambda sum_i w_i m_i (x_i - b) / p_i, m_i ~ Bernoulli(p_i)",
            deviations=DEVIATIONS,
            parameters=PARAMETERS,
            laws=("identity", "endpoints", "task_arithmetic at density 1", "kept count"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            check=zero_sum,
            tier="core",
            helps="Small task vectors of supervised fine-tunes (elements below about 0.002): densities down to 0.1 "
            "cost little there (Yu et al.).",
            fails="Task vectors of continued pre-training, whose elements are larger (Yu et al.).",
            example={"weight": 0.5, "density": 0.5, "rescale": "expectation"},
        ),
        masks=masks,
        elect=False,
        factors=factors,
    )
)
