"""Rows of vocabulary-indexed tensors, made while they are read: each from a row of any model, a mean, or zeros."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from suture.checkpoint.header import TensorInfo
from suture.checkpoint.opened import blocks_of, open_input
from suture.checkpoint.source import Floats, Input, OpenSource, ReaderOf, elements_of, stored_of

ZERO, MEAN_OF_MODELS, MEAN_OF_ROWS = -1, -2, -3
Places = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class RowMap:
    """Where each row of the output comes from, as one model of the merge sees it.

    model: number of the model among the inputs, or ZERO, MEAN_OF_MODELS (of the `means` of that row, in their order),
    MEAN_OF_ROWS (of all rows of the model `own`). row: the row there. Both of shape (rows of the output,).
    """

    own: int
    model: NDArray[np.int16]
    row: NDArray[np.int32]
    means: Mapping[int, Places] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def digest(self) -> str:
        """Identifies the content."""
        hasher = blake3(f"{self.own} {sorted(self.means.items())}".encode())
        hasher.update(self.model.tobytes())
        hasher.update(self.row.tobytes())
        return hasher.hexdigest()

    @cached_property
    def runs(self) -> NDArray[np.int64]:
        """First rows of the runs that are read as one: rows that follow one another in one model; and the end."""
        follows = (np.diff(self.model) == 0) & (np.diff(self.row.astype(np.int64)) == 1) & (self.model[1:] >= 0)
        found: NDArray[np.int64] = np.concatenate([[0], np.flatnonzero(~follows) + 1, [self.model.size]])
        return found

    def parts(self, start: int, count: int, width: int) -> Iterator[tuple[int, int, int]]:
        """What `count` elements from `start` on of rows `width` wide are, run by run.

        Yields (first row of the run, elements of it that come before, how many follow).
        """
        end, number = start + count, int(np.searchsorted(self.runs, start // width, side="right")) - 1
        while start < end:
            first, stop = int(self.runs[number]), min(int(self.runs[number + 1]) * width, end)
            yield first, start - first * width, stop - start
            start, number = stop, number + 1

    def is_identity(self, rows: int) -> bool:
        """Whether the output's rows are the own model's, of which there are `rows`."""
        whole = self.model.size == rows and bool(np.all(self.model == self.own))
        return whole and bool(np.array_equal(self.row, np.arange(rows)))

    def with_rows(self, places: Mapping[int, tuple[int, int]]) -> RowMap:
        """The same with some rows of the output, number -> (model, row), from elsewhere."""
        if not places:
            return self
        model, row = self.model.copy(), self.row.copy()
        for number, (other, there) in places.items():
            model[number], row[number] = other, there
        means = {number: found for number, found in self.means.items() if number not in places}
        return RowMap(self.own, model, row, MappingProxyType(means))


def identity_map(own: int, rows: int) -> RowMap:
    """Every row from the same row of model `own`."""
    return RowMap(own, np.full(rows, own, np.int16), np.arange(rows, dtype=np.int32))


def mapped(row_map: RowMap, inputs: Sequence[Input]) -> Input:
    """Return one model's tensor in the output's rows: itself where nothing changes.

    inputs: the same tensor of every model, in the order that the map numbers them.
    """
    own = inputs[row_map.own]
    if row_map.is_identity(own.shape[vocabulary_axis(own)]):
        return own
    return Rows(tuple(inputs), row_map, row_map.digest)


def vocabulary_axis(given: Input) -> int:
    """Return the axis of the vocabulary: the first, or the last of a bias that is stored as one row."""
    return len(given.shape) - 1 if len(given.shape) == 2 and given.shape[0] == 1 else 0


@dataclass(frozen=True)
class Rows:
    """One model's vocabulary-indexed tensor (embedding, head, head bias) in the rows of the output.

    Where a mean of all rows is asked for, the first to open it reads the whole tensor once.
    """

    inputs: tuple[Input, ...]
    row_map: RowMap = field(compare=False, repr=False)
    digest: str
    _mean: _Mean = field(default_factory=lambda: _Mean(), compare=False, repr=False)

    @property
    def own(self) -> Input:
        """The model's own tensor."""
        return self.inputs[self.row_map.own]

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape with the output's rows."""
        rows, axis, shape = self.row_map.model.size, vocabulary_axis(self.own), self.own.shape
        return (*shape[:axis], rows, *shape[axis + 1 :])

    @property
    def dtype(self) -> str:
        """The dtype of all inputs that rows come from, F32 where they differ; means hold more digits than it does."""
        used = {self.inputs[i].dtype for i in self._used}
        return self.own.dtype if used <= {self.own.dtype} else "F32"

    @property
    def stored(self) -> tuple[TensorInfo, ...]:
        """The stored tensors of all models that rows come from."""
        return tuple(dict.fromkeys(info for i in self._used for info in stored_of(self.inputs[i])))

    @property
    def width(self) -> int:
        """Elements of one row."""
        return math.prod(self.own.shape) // self.own.shape[vocabulary_axis(self.own)]

    @property
    def only_stored(self) -> bool:
        """Whether every row is zeros or one that is stored as it is."""
        return bool(np.all(self.row_map.model >= ZERO)) and all(
            isinstance(self.inputs[i], TensorInfo) for i in self._used
        )

    def pieces(self, start: int, count: int) -> Iterator[tuple[TensorInfo | None, int, int]]:
        """Where the elements from `start` on are stored, in order: (tensor, its first element, how many).

        The tensor is None for zeros. To be asked only where only_stored holds.
        """
        for first, offset, size in self.row_map.parts(start, count, self.width):
            model, row = int(self.row_map.model[first]), int(self.row_map.row[first])
            info = self.inputs[model] if model >= 0 else None
            assert info is None or isinstance(info, TensorInfo)
            yield info, row * self.width + offset, size

    def open(self, reader_of: ReaderOf) -> OpenSource:
        """Make it readable."""
        opened = {i: open_input(self.inputs[i], reader_of) for i in self._used}
        mean = None
        if bool(np.any(self.row_map.model == MEAN_OF_ROWS)):
            mean = self._mean.of(self.own, self.width, reader_of)
        return _OpenRows(self.row_map, self.width, opened, mean)

    def describe(self) -> dict[str, object]:
        """What identifies it."""
        given = [[i.dtype, i.shape] if isinstance(i, TensorInfo) else i.describe() for i in self.inputs]
        return {"kind": "rows", "inputs": given, "rows": self.row_map.model.size, "map": self.digest}

    @cached_property
    def _used(self) -> list[int]:
        found = {int(i) for i in np.unique(self.row_map.model) if i >= 0} | {self.row_map.own}
        return sorted(found | {i for places in self.row_map.means.values() for i, _ in places})


class _Mean:
    """The mean row of a tensor, computed by the first thread that opens it, once for each opened reader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reader: weakref.ref[Any] | None = None
        self._found: Floats = np.empty(0, np.float32)

    def __reduce__(self) -> tuple[type[_Mean], tuple[()]]:
        """A copy starts anew: locks and readers stay where they are."""
        return type(self), ()

    def of(self, given: Input, width: int, reader_of: ReaderOf) -> Floats:
        with self._lock:
            reader = reader_of(stored_of(given)[0])
            if self._reader is None or self._reader() is not reader:
                total = np.zeros(width)
                rows = max(1, (1 << 20) // width)
                for _, values in blocks_of(open_input(given, reader_of), elements_of(given), rows * width):
                    for row in values.reshape(-1, width):  # one after the other: the order of the sum is fixed
                        total += row
                self._found = (total * (width / elements_of(given))).astype(np.float32)
                self._reader = weakref.ref(reader)
            return self._found


@dataclass(frozen=True)
class _OpenRows:
    row_map: RowMap
    width: int
    opened: Mapping[int, OpenSource]
    mean: Floats | None

    def read_f32(self, start: int, out: Floats) -> None:
        for first, offset, size in self.row_map.parts(start, out.size, self.width):
            self._read_run(first, offset, out[:size])
            out = out[size:]

    def _read_run(self, first: int, offset: int, out: Floats) -> None:
        """Fill `out` with what stands `offset` elements after the start of the run whose first row is `first`."""
        model = int(self.row_map.model[first])
        if model >= 0:
            self.opened[model].read_f32(int(self.row_map.row[first]) * self.width + offset, out)
        elif model == ZERO:
            out[:] = 0
        elif model == MEAN_OF_ROWS and self.mean is not None:
            out[:] = self.mean[offset : offset + out.size]
        else:
            places = self.row_map.means[first]
            total, block = np.zeros(out.size), np.empty(out.size, np.float32)
            for other, row in places:
                self.opened[other].read_f32(row * self.width + offset, block)
                total += block
            out[:] = total / len(places)
