"""TIES: trim task vectors to their largest elements, elect a sign for each place, average those that agree."""

from __future__ import annotations

from suture.methods import trimming
from suture.methods.registry import register
from suture.methods.shapes import MethodInfo
from suture.methods.task_vectors import common, rescaling, sparse_method

register(
    sparse_method(
        MethodInfo(
            name="ties",
            shape="elementwise",
            summary="Task vectors trimmed to their largest elements; the mean of those of the elected sign.",
            paper="Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708, section 4.2 (algorithm 1)",
            formula="b + lambda sum_i [sign d_i = s] d_i / sum_i [sign d_i = s] w_i, d_i = w_i trim(x_i - b, density), "
            "s = sign(sum_i d_i)",
            deviations="Weights per model are the field's habit; the paper has none. Exactly "
            "max(1, floor(density n)) elements are kept, equal magnitudes in the order of their place. An even vote "
            "counts as positive.",
            parameters=(*common(normalize=True), rescaling("none")),
            laws=("identity", "endpoints", "permutation", "scale", "exact count", "task_arithmetic without conflict"),
            min_inputs=2,
            max_inputs=None,
            base="required",
            tier="core",
            helps="Three or more fine-tunes of one base whose task vectors disagree in sign: above task arithmetic "
            "there, with densities near 0.2 (Yadav et al., section 6).",
            fails="With one task vector it only trims. With two, elections are decided by the larger magnitude alone; "
            "for continued pre-training, whose task vectors are dense, densities below 0.5 lose what was learnt.",
            example={"weight": 0.5, "density": 0.5, "lambda": 1.0, "normalize": True},
        ),
        masks=trimming.masks,
        ranks=trimming.kept_ranks,
        elect=True,
        before=trimming.reductions,
    )
)
