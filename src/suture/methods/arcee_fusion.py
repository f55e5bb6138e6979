"""Arcee Fusion: take from the other model only the elements whose importance stands out."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import Any

import numpy as np

from suture.methods.registry import register
from suture.methods.selection import Pairs, selection
from suture.methods.shapes import Block, Blocks, Counts, ElementwiseMethod, MethodInfo, Reduction, Steps

QUARTILES = (0.25, 0.5, 0.75)


def importance(steps: Steps, blocks: Blocks, **_: Any) -> Pairs:
    """What is ordered: the importance of each element."""
    base, model = blocks.inputs
    out, zero = steps.empty_like(base), steps.empty_like(base)
    steps.importances(model, base, blocks.columns, out)
    zero[:] = 0.0
    return [(out, zero)]


def around(elements: int, found: Mapping[str, Any], **_: Any) -> Counts:
    """(1, 6): for each quartile, how many of the largest reach down to the elements below and above it."""
    places = [q * (elements - 1) for q in QUARTILES]
    return np.array([[max(elements - rank, 0) for place in places for rank in (floor(place), ceil(place))]])


def threshold(values: Any, elements: int) -> int:
    """The bits of the least fp32 number at or above median + 1.5 (third - first quartile)."""
    low, high = values.reshape(3, 2).astype(np.float64).T
    fractions = np.array([q * (elements - 1) % 1 for q in QUARTILES])
    first, median, third = low + fractions * (high - low)
    exact = median + 1.5 * (third - first)
    bound = np.float32(exact)
    return int(bound.view(np.uint32)) + int(float(bound) < exact)


def statistics(**_: Any) -> tuple[Reduction, ...]:
    """The elements around the quartiles."""
    return tuple(selection(importance, around, places=False))


def combine(steps: Steps, blocks: Blocks, found: Mapping[str, Any], out: Block, **_: Any) -> None:
    """The model where the importance reaches the threshold, the base elsewhere."""
    base, model = blocks.inputs
    [(score, _zero)] = importance(steps, blocks)
    bound = threshold(found["rank"].value()[0], blocks.elements)
    steps.kept_by_score(model, base, score, (bound, len(base)), out)


register(
    ElementwiseMethod(
        MethodInfo(
            name="arcee_fusion",
            shape="elementwise",
            summary="The other model's elements of outstanding importance, the base's elsewhere.",
            paper="No paper; the documentation of mergekit 0.1, section Arcee Fusion",
            formula="x where g >= median(g) + 1.5 (q3(g) - q1(g)), b elsewhere; "
            "g = |x - b| KL(softmax(x) | softmax(b)), softmax and KL of each row",
            deviations="Quartiles are those of the whole tensor, exactly; the reference samples a million elements at "
            "random. KL is taken in fp64: in fp32, as there, it is mostly rounding noise for close parents.",
            parameters=(),
            laws=("identity",),
            min_inputs=2,
            max_inputs=2,
            base="required",
            tier="compat",
            helps="No study shows a gain; used where few changes of the other model are wanted.",
            fails="Where the other model's skill lies in many small changes: most of them stay behind.",
            example={},
        ),
        statistics,
        combine,
        whole_rows=lambda **_: True,
    )
)
