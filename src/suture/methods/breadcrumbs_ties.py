"""Model breadcrumbs with the sign election of TIES."""

from __future__ import annotations

from suture.methods import trimming
from suture.methods.breadcrumbs import DEVIATIONS, FAILS, HELPS, PAPER, PARAMETERS
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo
from suture.methods.task_vectors import sparse_method

register(
    sparse_method(
        MethodInfo(
            name="breadcrumbs_ties",
            shape="elementwise",
            summary="Task vectors without their largest and smallest elements; those of the elected sign summed.",
            paper=PAPER + "; the election of Yadav et al., TIES-Merging, arXiv 2306.01708, section 4.2",
            formula="b + lambda sum_i [sign d_i = s] d_i, d_i = w_i m_i (x_i - b), s = sign(sum_i d_i), "
            "m_i = 1 between the floor(gamma n) largest and the smallest",
            deviations=DEVIATIONS + "An even vote counts as positive. The sum is not divided unless normalize is true.",
            parameters=PARAMETERS,
            laws=("identity", "endpoints", "permutation", "scale", "exact count", "task_arithmetic without conflict"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            tier="compat",
            helps=HELPS,
            fails=FAILS,
            example={"weight": 0.5, "density": 0.9, "gamma": 0.01},
        ),
        masks=trimming.masks,
        ranks=trimming.kept_ranks,
        elect=True,
        before=trimming.reductions,
    )
)
