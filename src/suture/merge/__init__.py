"""Merging: a plan is executed, a stretch of a tensor at a time, on every core, in bounded memory.

streaming   from a plan to a checkpoint that appears whole or not at all
schedule    tasks for the workers: stretches of passes, then units, tensor after tensor
evaluation  one tensor: inputs, passes, any stretch of the result
passes      what a pass measures before there is a result
masked      masked task vectors, by loops over stored bits
pivots      selection in one pass between sampled pivots
unit        one stretch: merged, rounded, measured, digested, handed on
record      what units tell, put together: refusals, digests, manifest
backend     numba kernels, or their PyTorch twins on a device
buffers     reused memory of a worker
rederive    one output tensor, made once more
"""

from suture.merge.rederive import derive
from suture.merge.streaming import execute

__all__ = ["derive", "execute"]
