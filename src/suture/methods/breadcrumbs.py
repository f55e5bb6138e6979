"""Model breadcrumbs: drop the largest and the smallest elements of the task vectors, then task arithmetic."""

from __future__ import annotations

from suture.methods import trimming
from suture.methods.linear import zero_sum
from suture.methods.parameters import Parameter
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo
from suture.methods.task_vectors import common, rescaling, sparse_method

GAMMA = Parameter("gamma", "share of the largest elements dropped", "float", 0.01, low=0.0, high=1.0, per_model=True)
PAPER = "Davari & Belilovsky, Model breadcrumbs, ECCV 2024, arXiv 2312.06795, section 3"
DEVIATIONS = (
    "floor(density n) elements are kept, those under the floor(gamma n) largest; where density + gamma exceed 1 "
    "fewer of the largest are dropped. Equal magnitudes go in the order of their place. Bounds are those of a tensor. "
)
PARAMETERS = (*common(normalize=False), GAMMA, rescaling("none"))
HELPS = "Many fine-tunes of one base, with one set of hyperparameters for all (Davari & Belilovsky)."
FAILS = (
    "Where the largest changes carry the skill: dropping them undoes it. The gain over task arithmetic shrinks for few "
    "models."
)

register(
    sparse_method(
        MethodInfo(
            name="breadcrumbs",
            shape="elementwise",
            summary="Task arithmetic on task vectors without their largest and their smallest elements.",
            paper=PAPER,
            formula="b + lambda sum_i w_i m_i (x_i - b), m_i = 1 between the floor(gamma n) largest and the smallest",
            deviations=DEVIATIONS,
            parameters=PARAMETERS,
            laws=("identity", "endpoints", "permutation", "scale", "exact count", "task_arithmetic without conflict"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            check=zero_sum,
            tier="compat",
            helps=HELPS,
            fails=FAILS,
            example={"weight": 0.5, "density": 0.9, "gamma": 0.01},
        ),
        masks=trimming.masks,
        ranks=trimming.kept_ranks,
        elect=False,
        before=trimming.reductions,
    )
)
