"""The steps in PyTorch, on any device: same names and arguments as in `suture.kernels`, tensors for arrays.

Elementwise steps and counts equal the kernels bit for bit (the payload of a NaN apart). Sums are taken in fp64 in
whatever order the device likes: over n elements they differ from the kernels' by at most n * 2**-52 times the sum of
the magnitudes of their terms.
"""

from suture.numerics.active import active_counts, active_means
from suture.numerics.anchor import SEGMENT
from suture.numerics.elect import elected, empty_rows
from suture.numerics.elementwise import empty_like, importances, l1_distances, nearswap, variances
from suture.numerics.fused import finish
from suture.numerics.groups import gram_groups, weighted_groups
from suture.numerics.keys import random_key
from suture.numerics.random import pack_kept, thinned, thinned_by_rank, unpack_kept
from suture.numerics.select import (
    coarse_counts,
    equal_count,
    high_counts,
    kept_by_rank,
    kept_by_score,
    low_counts,
    place_of,
)
from suture.numerics.span import gram_segment, weighted_sum
from suture.numerics.stored import count_nonfinite, count_vanished, narrow, widen

__all__ = [
    "SEGMENT",
    "active_counts",
    "active_means",
    "coarse_counts",
    "count_nonfinite",
    "count_vanished",
    "elected",
    "empty_like",
    "empty_rows",
    "equal_count",
    "finish",
    "gram_groups",
    "gram_segment",
    "high_counts",
    "importances",
    "kept_by_rank",
    "kept_by_score",
    "l1_distances",
    "low_counts",
    "narrow",
    "nearswap",
    "pack_kept",
    "place_of",
    "random_key",
    "thinned",
    "thinned_by_rank",
    "unpack_kept",
    "variances",
    "weighted_groups",
    "weighted_sum",
    "widen",
]
