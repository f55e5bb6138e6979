"""Tensors with an adapter on them, made while they are read: LoRA, rsLoRA and DoRA deltas, and shifted biases.

LoRA: Hu et al., arXiv 2106.09685, section 4.1: W + (alpha / r) B A. rsLoRA: Kalajdzievski, arXiv 2312.03732: alpha /
sqrt(r). DoRA: Liu et al., arXiv 2402.09353, equation 5: m (W + s B A) / |W + s B A|, norms over the inputs of each
output. Sums over the rank and norms are in fp64, each element is rounded to fp32 once.
"""

from __future__ import annotations

import math
import threading
import weakref
from dataclasses import dataclass, field

import numpy as np

from suture.checkpoint.header import TensorInfo
from suture.checkpoint.opened import blocks_of, open_input, read_whole
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.source import Floats, Input, OpenSource, ReaderOf, elements_of, stored_of
from suture.kernels.compile import Sums
from suture.kernels.lowrank import NONE, add_column_squares, add_low_rank, add_row_squares


class _Factors:
    """DoRA's factors of one tensor, computed by the first thread that opens it, once for each opened reader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reader: weakref.ref[TensorReader] | None = None
        self._found: Sums = NONE

    def __reduce__(self) -> tuple[type[_Factors], tuple[()]]:
        """A copy starts anew: locks and readers stay where they are."""
        return type(self), ()

    def of(self, adapted: Adapted, reader_of: ReaderOf) -> Sums:
        with self._lock:
            reader = reader_of(adapted.b)
            if self._reader is None or self._reader() is not reader:
                self._found = adapted.factors(reader_of)
                self._reader = weakref.ref(reader)
            return self._found


@dataclass(frozen=True)
class Adapted:
    """W + scale (B A), for DoRA times magnitude / norm.

    base: W of shape (out, in...), or (in, out) where `transposed` (GPT-2's Conv1D, and embeddings: vocabulary x
    width). a: (rank, in...), b: (out, rank...). magnitude: one value an output, None for LoRA. Opening holds a and b as
    float32; opening a DoRA tensor also reads its base once, block by block.
    """

    base: Input
    a: TensorInfo
    b: TensorInfo
    scale: float
    transposed: bool = False
    magnitude: TensorInfo | None = None
    _factors: _Factors = field(default_factory=_Factors, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The base's shape."""
        return self.base.shape

    @property
    def dtype(self) -> str:
        """The base's dtype, which the model has with its adapter merged; blocks hold more digits than it does."""
        return self.base.dtype

    @property
    def stored(self) -> tuple[TensorInfo, ...]:
        """The base's tensors and the adapter's."""
        extra = () if self.magnitude is None else (self.magnitude,)
        return (*stored_of(self.base), self.a, self.b, *extra)

    @property
    def rank(self) -> int:
        """Rank of the delta."""
        return self.a.shape[0]

    def open(self, reader_of: ReaderOf) -> OpenSource:
        """Make it readable."""
        factors = NONE if self.magnitude is None else self._factors.of(self, reader_of)
        return self._opened(reader_of, factors)

    def describe(self) -> dict[str, object]:
        """What identifies it."""
        return {
            "kind": "dora" if self.magnitude is not None else "lora",
            "base": _described(self.base),
            "a": self.a.name,
            "b": self.b.name,
            "rank": self.rank,
            "scale": self.scale,
            "transposed": self.transposed,
        }

    def factors(self, reader_of: ReaderOf) -> Sums:
        """DoRA's magnitude / norm, one value an output: reads the base once."""
        assert self.magnitude is not None
        plain, width = self._opened(reader_of, NONE), math.prod(self.shape[1:])
        magnitude = read_whole(self.magnitude, reader_of).ravel().astype(np.float64)
        sums = np.zeros(magnitude.size)
        add_squares = add_column_squares if self.transposed else add_row_squares
        for start, values in blocks_of(plain, elements_of(self.base)):
            add_squares(values, start, width, sums)
        with np.errstate(divide="ignore", invalid="ignore"):  # whoever reads counts what is not finite
            factors: Sums = magnitude / np.sqrt(sums)
        return factors

    def _opened(self, reader_of: ReaderOf, factors: Sums) -> _OpenAdapted:
        a = read_whole(self.a, reader_of).reshape(self.rank, -1)
        b = read_whole(self.b, reader_of).reshape(-1, self.rank)
        left, right = (a.T, b.T) if self.transposed else (b, a)
        rows, columns = (NONE, factors) if self.transposed else (factors, NONE)
        return _OpenAdapted(
            open_input(self.base, reader_of),
            np.ascontiguousarray(left),
            np.ascontiguousarray(right),
            self.scale,
            rows,
            columns,
        )


@dataclass(frozen=True)
class _OpenAdapted:
    base: OpenSource
    left: Floats
    right: Floats
    scale: float
    rows: Sums
    columns: Sums

    def read_f32(self, start: int, out: Floats) -> None:
        self.base.read_f32(start, out)
        add_low_rank(out, start, self.left, self.right, self.scale, self.rows, self.columns)


@dataclass(frozen=True)
class Shifted:
    """base + scale delta, element by element: the bias of a layer whose adapter has a bias of its own."""

    base: Input
    delta: TensorInfo
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """The base's shape."""
        return self.base.shape

    @property
    def dtype(self) -> str:
        """The base's dtype."""
        return self.base.dtype

    @property
    def stored(self) -> tuple[TensorInfo, ...]:
        """The base's tensors and the adapter's."""
        return (*stored_of(self.base), self.delta)

    def open(self, reader_of: ReaderOf) -> OpenSource:
        """Make it readable."""
        return _OpenShifted(open_input(self.base, reader_of), open_input(self.delta, reader_of), self.scale)

    def describe(self) -> dict[str, object]:
        """What identifies it."""
        return {"kind": "shifted", "base": _described(self.base), "delta": self.delta.name, "scale": self.scale}


@dataclass(frozen=True)
class _OpenShifted:
    base: OpenSource
    delta: OpenSource
    scale: float

    def read_f32(self, start: int, out: Floats) -> None:
        delta = np.empty_like(out)
        self.base.read_f32(start, out)
        self.delta.read_f32(start, delta)
        out[:] = out.astype(np.float64) + self.scale * delta.astype(np.float64)


def _described(given: Input) -> object:
    return [given.dtype, given.shape] if isinstance(given, TensorInfo) else given.describe()
