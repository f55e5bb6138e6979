"""Fused numba loops over cache-sized blocks: the CPU path of every step, at memory speed.

A block is a contiguous one-dimensional float32 array. Loops run without the interpreter lock, without fast-math and
without fused multiply-add, so the bits do not depend on the processor, on block sizes or on the number of workers.
`suture.numerics.steps` is the same in PyTorch.

    stored       stored bits <-> float32, rounding
    span         weighted sums and Gram matrices
    streams      where a loop takes its inputs and leaves its output: arrays or files
    tile         what fused loops do to a tile; the sums of the realised coefficient
    fused        sum, round, store and measure in one loop
    grams        Gram matrices from stored bits
    groups       the same of each row or column
    select       exact selection by magnitude
    ranks        ranks in rows
    random       keyed masks
    thin_by_rank  the same with probabilities by rank
    sparse       masked task vectors from stored bits: mask, sum or elect, round, store and measure
    pivots       selection by magnitude in one pass around a sampled pivot
    elect        sign election
    conflict     how often task vectors differ in sign
    active       which models differ from the base at all
    elementwise  what else elementwise methods ask for
"""

from suture.kernels.active import active_counts, active_means
from suture.kernels.conflict import sign_conflicts
from suture.kernels.elect import elected, empty_rows
from suture.kernels.elementwise import empty_like, importances, l1_distances, nearswap, variances
from suture.kernels.groups import gram_groups, weighted_groups
from suture.kernels.random import pack_kept, thinned, unpack_kept
from suture.kernels.select import (
    coarse_counts,
    equal_count,
    high_counts,
    kept_by_rank,
    kept_by_score,
    low_counts,
    place_of,
)
from suture.kernels.span import gram_segment, weighted_sum
from suture.kernels.stored import count_nonfinite, count_vanished, narrow, widen
from suture.kernels.thin_by_rank import thinned_by_rank
from suture.kernels.tile import finish
from suture.numerics.anchor import SEGMENT
from suture.numerics.keys import random_key

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
    "sign_conflicts",
    "thinned",
    "thinned_by_rank",
    "unpack_kept",
    "variances",
    "weighted_groups",
    "weighted_sum",
    "widen",
]
