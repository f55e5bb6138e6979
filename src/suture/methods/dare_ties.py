"""DARE with the sign election of TIES: drop at random, rescale, elect, average those that agree."""

from __future__ import annotations

from suture.methods.dare_linear import DEVIATIONS, PAPER, PARAMETERS, factors, masks
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo
from suture.methods.task_vectors import sparse_method

register(
    sparse_method(
        MethodInfo(
            name="dare_ties",
            shape="elementwise",
            summary="Task vectors dropped at random and rescaled; those of the elected sign summed.",
            paper=PAPER + "; the election of Yadav et al., TIES-Merging, arXiv 2306.01708, section 4.2",
            formula="b + lambda sum_i [sign d_i = s] d_i, d_i = w_i m_i (x_i - b) / p_i, m_i ~ Bernoulli(p_i), "
            "s = sign(sum_i d_i)",
            deviations=DEVIATIONS + "An even vote counts as positive. The sum is not divided unless normalize is true.",
            parameters=PARAMETERS,
            laws=("identity", "endpoints", "task_arithmetic without conflict"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            tier="core",
            helps="Several supervised fine-tunes of one base: the sparser vectors meet in fewer places (Yu et al.).",
            fails="As dare_linear: task vectors of continued pre-training do not bear dropping; and at low densities "
            "few places hold two votes, so that the election decides little.",
            example={"weight": 0.5, "density": 0.5, "rescale": "expectation"},
        ),
        masks=masks,
        elect=True,
        factors=factors,
    )
)
