"""A pass over a tensor's inputs before its result: what is measured of each stretch, and what all together conclude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from suture.kernels.streams import Stream
from suture.merge.buffers import Desk
from suture.methods.shapes import Blocks

COUNTED = 8
"""Segments that are counted at once: a histogram costs as much to clear and to add as a segment to count."""

Part = NDArray[Any]
"""What one segment gives: float64 sums, or int64 counts."""


@dataclass(frozen=True)
class Stretch:
    """Elements start to start + count of the tensor, in whole segments."""

    start: int
    count: int


@dataclass
class Pass:
    """One pass over the inputs: what is measured, and what all parts together conclude.

    stride: elements read at a time, whole segments. measure: for each measured array the parts of a stride's segments,
    in order, or one part where it holds counts that may be added at once (`counts`). raw: the same of a stream of
    stored bits, the index of its first element and how many it has, where a kernel can; None where a file did not give
    them. sample: reads what it needs itself, once for the tensor.
    """

    stretches: tuple[Stretch, ...]
    stride: int
    measure: Callable[[Blocks], list[list[Part]]]
    conclude: Callable[[list[list[Part]]], None]
    counts: tuple[bool, ...] = (False,)
    raw: Callable[[Stream, int, int], list[list[Any]] | None] | None = None
    sample: Callable[[Desk], list[list[Any]]] | None = None
