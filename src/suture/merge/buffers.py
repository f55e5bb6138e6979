"""Reused buffers of one worker, each aligned to its file like the pages that the kernel copies from."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64
"""Copies run at full speed where source and destination lie alike within a cache line."""

STORED: dict[str, type[np.unsignedinteger[Any]]] = {"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}
"""How the bits of each float dtype are held."""


class Buffer:
    """Bytes that are filled again and again, on pages of their own."""

    def __init__(self, nbytes: int) -> None:
        self.room = nbytes
        self._pages = mmap.mmap(-1, nbytes + LINE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._bytes = np.frombuffer(self._pages, np.uint8)
        self._views: dict[tuple[str, int, int], tuple[NDArray[Any], memoryview]] = {}

    def view(self, dtype: str, count: int, offset: int) -> tuple[NDArray[Any], memoryview]:
        """`count` stored elements of `dtype`, and their bytes, lying in a line as byte `offset` of a file does."""
        kind = np.dtype(STORED[dtype])
        begin = offset % LINE
        begin = begin if begin % kind.itemsize == 0 else 0
        key = (dtype, count, begin)
        if key not in self._views:
            if len(self._views) > 64:
                self._views.clear()
            array = self._bytes[begin : begin + count * kind.itemsize].view(kind)
            self._views[key] = (array, array.data.cast("B"))
        return self._views[key]


class Desk:
    """All buffers of one worker, made when first asked for."""

    def __init__(self, elements: int) -> None:
        self.elements = elements
        self._raw: dict[int | str, Buffer] = {}
        self._floats: dict[int | str, NDArray[np.float32]] = {}

    def raw(self, which: int | str, dtype: str, count: int, offset: int) -> tuple[NDArray[Any], memoryview]:
        """Room for `count` stored elements of input number `which`, or of the output; see `Buffer.view`."""
        if which not in self._raw or self._raw[which].room < 4 * count:
            self._raw[which] = Buffer(4 * max(count, self.elements))
        return self._raw[which].view(dtype, count, offset)

    def floats(self, which: int | str, count: int) -> NDArray[np.float32]:
        """`count` float32 elements for input number `which`, or for a named purpose."""
        if which not in self._floats or self._floats[which].size < count:
            self._floats[which] = np.empty(max(count, self.elements), np.float32)
        return self._floats[which][:count]
