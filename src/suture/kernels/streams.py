"""Where a loop takes its inputs and leaves its output: arrays, or open files that it reads and writes itself.

A loop that reads and writes by itself goes through a whole unit in one call, a block at a time in the same few buffers:
threads then meet at the interpreter lock once a unit instead of some ten times a block. Such a loop returns how many
elements it has done; it stops before a block that a file did not give or take, or that it must not decide about, and
whoever called it does that block again, step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import types

from suture.kernels.compile import Bits, Sums, compiled
from suture.numerics.anchor import SEGMENT

BLOCK = SEGMENT
"""Elements that are read, worked on and written before the next ones."""

IN_MEMORY = -1
"""Instead of a descriptor."""

_pread = types.ExternalFunction("pread", types.intp(types.intc, types.CPointer(types.uint16), types.uintp, types.int64))
_pwrite = types.ExternalFunction(
    "pwrite", types.intp(types.intc, types.CPointer(types.uint16), types.uintp, types.int64)
)


class Stream(NamedTuple):
    """Elements of 16 bits: one stretch of every input, and of the output where there is one.

    inputs, output: the elements themselves, or room for one block (SEGMENT elements) of those that lie in a file.
    files, target: descriptors, or IN_MEMORY. offsets, begin: of the first element in its file, in bytes. Inputs are all
    in memory or all in files.
    """

    inputs: tuple[Bits, ...]
    files: tuple[int, ...]
    offsets: tuple[int, ...]
    output: Bits
    target: int
    begin: int

    def ordered(self, order: Sequence[int]) -> Stream:
        """The same with the inputs in another order."""
        return self._replace(
            inputs=tuple(self.inputs[i] for i in order),
            files=tuple(self.files[i] for i in order),
            offsets=tuple(self.offsets[i] for i in order),
        )


def in_memory(inputs: Sequence[Bits], output: Bits | None = None) -> Stream:
    """A stream of arrays."""
    none = (IN_MEMORY,) * len(inputs)
    given = np.empty(0, np.uint16) if output is None else output
    return Stream(tuple(inputs), none, (0,) * len(inputs), given, IN_MEMORY, 0)


@compiled
def filled(stream: Stream, first: int, size: int) -> bool:
    """Read elements `first` to `first + size` of inputs that lie in files; False where a file does not give them."""
    for index in range(len(stream.inputs)):
        descriptor = stream.files[index]
        if descriptor >= 0:
            nbytes, at = 2 * size, stream.offsets[index] + 2 * first
            if _pread(descriptor, stream.inputs[index].ctypes, nbytes, at) != nbytes:
                return False
    return True


@compiled
def place_in(stream: Stream, first: int) -> int:
    """Where element `first` stands in the arrays of the inputs."""
    return 0 if stream.files[0] >= 0 else first


@compiled
def room_for(stream: Stream, first: int, size: int) -> Bits:
    """Where elements `first` to `first + size` of the result are put."""
    begin = 0 if stream.target >= 0 else first
    return stream.output[begin : begin + size]


@compiled
def accepted(stream: Stream, first: int, size: int, found: Sums, sums: Sums) -> bool:
    """Write a finished block and add what it `found` to `sums`.

    False, and neither is done, where a sum is not finite or the file does not take the block.
    """
    if not (np.isfinite(found).all() and _written(stream, first, size)):
        return False
    sums += found
    return True


@compiled
def _written(stream: Stream, first: int, size: int) -> bool:
    """Write what was put there to the target, if that is a file; False where it does not take it."""
    if stream.target < 0:
        return True
    nbytes = 2 * size
    return bool(_pwrite(stream.target, stream.output.ctypes, nbytes, stream.begin + 2 * first) == nbytes)
