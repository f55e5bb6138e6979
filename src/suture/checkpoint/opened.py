"""Any input, opened: stored tensors and sources alike fill float32 blocks; small ones are read whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.checkpoint.header import Checkpoint, TensorInfo
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.source import Floats, Input, OpenSource, ReaderOf, elements_of
from suture.kernels.stored import widen

BLOCK = 1 << 20
FLOAT_DTYPES = ("F32", "F16", "BF16")
_BITS: dict[str, type[np.unsignedinteger[Any]]] = {"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}


class _Stored:
    """A stored tensor of a float dtype, widened while it is read."""

    def __init__(self, info: TensorInfo, reader_of: ReaderOf) -> None:
        self._info = info
        self._reader = reader_of(info)
        self._raw: NDArray[Any] = np.empty(0, _BITS[info.dtype])

    def read_f32(self, start: int, out: Floats) -> None:
        if self._raw.size < out.size:
            self._raw = np.empty(out.size, self._raw.dtype)
        raw = self._raw[: out.size]
        self._reader.read_into(self._info, start * raw.itemsize, raw.data.cast("B"))
        widen(raw, self._info.dtype, out)


def open_input(given: Input, reader_of: ReaderOf) -> OpenSource:
    """Open a stored tensor (F32, F16 or BF16) or a source."""
    return _Stored(given, reader_of) if isinstance(given, TensorInfo) else given.open(reader_of)


def read_whole(given: Input, reader_of: ReaderOf) -> Floats:
    """Return all elements of a small input, in its shape."""
    out = np.empty(elements_of(given), np.float32)
    open_input(given, reader_of).read_f32(0, out)
    return out.reshape(given.shape)


def blocks_of(given: OpenSource, elements: int, block: int = BLOCK) -> Iterator[tuple[int, Floats]]:
    """Yield (start, values) over all elements in order; each block is valid until the next one is asked for."""
    buffer = np.empty(min(block, elements), np.float32)
    for start in range(0, elements, block):
        values = buffer[: min(block, elements - start)]
        given.read_f32(start, values)
        yield start, values


@contextmanager
def reading(*checkpoints: Checkpoint) -> Iterator[ReaderOf]:
    """Open the files of `checkpoints` while the block runs; at its end, check that none of them changed meanwhile."""
    with ExitStack() as stack:
        readers = [stack.enter_context(TensorReader(checkpoint)) for checkpoint in checkpoints]
        by_file = {file: reader for reader in readers for file in reader.checkpoint.files}
        yield lambda info: by_file[info.file]
        for reader in readers:
            reader.check_unchanged()
