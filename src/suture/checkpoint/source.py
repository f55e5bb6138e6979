"""Where an input's elements come from: a stored tensor, or values made from stored ones while they are read.

`TensorInfo` is the plain case. Everything else (rows mapped to another vocabulary, a LoRA delta on its base, fp8 codes
times their scales, the result of an earlier stage) is a `Source`: it says which stored tensors it reads, and opens into
something that fills float32 blocks. The engine needs no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from suture.checkpoint.header import TensorInfo
from suture.checkpoint.reader import TensorReader

Floats = NDArray[np.float32]

ReaderOf: TypeAlias = Callable[[TensorInfo], TensorReader]
"""The open reader of the checkpoint that a stored tensor belongs to."""


class OpenSource(Protocol):
    """A source that can be read, by one thread at a time."""

    def read_f32(self, start: int, out: Floats) -> None:
        """Fill `out` with the elements from `start` on, in row-major order."""


@runtime_checkable
class Source(Protocol):
    """One input tensor that is made while it is read. Frozen, comparable, without any open file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is read."""

    @property
    def dtype(self) -> str:
        """Storage dtype that holds every value exactly ("BF16", "F16" or "F32"), for the choice of the output's."""

    @property
    def stored(self) -> tuple[TensorInfo, ...]:
        """The stored tensors that it reads, each once."""

    def open(self, reader_of: ReaderOf) -> OpenSource:
        """Make it readable."""

    def describe(self) -> dict[str, object]:
        """What identifies it, as JSON: part of the plan's digest, shown by `suture plan --json`."""


Input: TypeAlias = TensorInfo | Source


def elements_of(given: Input) -> int:
    """Count of elements."""
    return math.prod(given.shape)


def stored_of(given: Input) -> tuple[TensorInfo, ...]:
    """The stored tensors behind an input."""
    return (given,) if isinstance(given, TensorInfo) else given.stored
