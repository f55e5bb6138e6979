"""Fused numba loops over cache-sized blocks: the CPU path of every step, at memory speed.

A block is a contiguous one-dimensional float32 array. Loops run without the interpreter lock, without fast-math and
without fused multiply-add, so the bits do not depend on the processor, on block sizes or on the number of workers.
`suture.numerics.steps` is the same in PyTorch.

    stored       stored bits <-> float32, rounding
    span         weighted sums, Gram matrices, the realised coefficient
    elementwise  masks, selections, elections
"""

from suture.kernels.elementwise import empty_like, l1_distance, nearswap, thinned
from suture.kernels.span import gram_segment, realised_sums, weighted_sum
from suture.kernels.stored import count_nonfinite, narrow, widen
from suture.numerics.anchor import SEGMENT
from suture.numerics.keys import random_key

__all__ = [
    "SEGMENT",
    "count_nonfinite",
    "empty_like",
    "gram_segment",
    "l1_distance",
    "narrow",
    "nearswap",
    "random_key",
    "realised_sums",
    "thinned",
    "weighted_sum",
    "widen",
]
