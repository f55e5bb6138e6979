"""Fused numba loops over cache-sized blocks: the CPU path of every step, at memory speed.

A block is a contiguous one-dimensional float32 array. Loops run without the interpreter lock, without fast-math and
without fused multiply-add, so the bits do not depend on the processor, on block sizes or on the number of workers.
`suture.numerics.steps` is the same in PyTorch.

    stored       stored bits <-> float32, rounding
    span         weighted sums and Gram matrices
    fused        sum, round, store and measure the realised coefficient in one loop
    elementwise  masks, selections, elections
"""

from suture.kernels.elementwise import empty_like, l1_distance, nearswap, thinned
from suture.kernels.fused import finish
from suture.kernels.span import gram_segment, weighted_sum
from suture.kernels.stored import count_nonfinite, count_vanished, narrow, widen
from suture.numerics.anchor import SEGMENT
from suture.numerics.keys import random_key

__all__ = [
    "SEGMENT",
    "count_nonfinite",
    "count_vanished",
    "empty_like",
    "finish",
    "gram_segment",
    "l1_distance",
    "narrow",
    "nearswap",
    "random_key",
    "thinned",
    "weighted_sum",
    "widen",
]
