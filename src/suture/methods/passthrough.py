"""Passthrough: one model as it is, or scaled; what layer stacking is made of."""

from __future__ import annotations

from suture.methods.gram import Gram
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo, SpanMethod


def weights(gram: Gram | None, inputs: int, *, scale: tuple[float, ...]) -> tuple[float, ...]:
    """The scale."""
    return scale


register(
    SpanMethod(
        MethodInfo(
            name="passthrough",
            shape="span",
            summary="One model, its tensors as they are or times a factor; for recipes that stack slices of layers.",
            paper="No paper for the copy; stacking: Kim et al., SOLAR 10.7B, NAACL 2024, arXiv 2312.15166, section 2",
            formula="scale x",
            deviations="scale is 1 where none is given.",
            parameters=(Parameter("scale", "factor", "float", 1.0, per_model=True),),
            laws=("scale",),
            min_inputs=1,
            max_inputs=1,
            base="none",
            tier="compat",
            helps="Depth up-scaling as a start for continued training (Kim et al., section 2).",
            fails="Without training after it a stack answers worse than its parent on most measures.",
            example={"scale": 1.0},
        ),
        weights,
    )
)
