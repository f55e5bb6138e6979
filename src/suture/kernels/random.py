"""Keyed masks: what a draw keeps.

Draw i of a key is the low half of splitmix64(key, i // 2) for even i, the high half for odd i: 32 bits. An element is
kept where its draw lies below probability * 2**32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Bits, Floats, compiled
from suture.kernels.stored import draw
from suture.numerics.keys import keep_threshold

_LOW = np.uint64(0xFFFFFFFF)
_CHUNK = 1024


def thinned(values: Floats, base: Floats, key: np.uint64, start: int, density: float, out: Floats) -> None:
    """`values` where a draw keeps the element (probability `density`, index `start + i`), `base` elsewhere."""
    threshold = keep_threshold(density)
    if threshold > _LOW:
        np.copyto(out, values)
    else:
        _thin(values, base, key, start, np.uint32(threshold), out)


@compiled
def _thin(values: Floats, base: Floats, key: np.uint64, start: int, threshold: np.uint32, out: Floats) -> None:
    words = np.empty(_CHUNK // 2 + 1, np.uint64)
    for first in range(0, out.size, _CHUNK):
        end = min(first + _CHUNK, out.size)
        halves = drawn_halves(key, start + first, end - first, words)
        choose(values[first:end], base[first:end], halves, threshold, out[first:end])


@compiled
def drawn_halves(key: np.uint64, start: int, count: int, words: NDArray[np.uint64]) -> Bits:
    """The draws of `count` elements from `start` on (the low half of a word stands first in memory)."""
    first, odd = np.uint64(start >> 1), start & 1
    for i in range((count + odd + 1) >> 1):
        words[i] = draw(key, first + np.uint64(i))
    return words.view(np.uint32)[odd : odd + count]


@compiled
def choose(values: Floats, base: Floats, halves: Bits, threshold: np.uint32, out: Floats) -> None:
    """`values` where the draw lies below the threshold, `base` elsewhere."""
    for i in range(out.size):
        value, other = values[i], base[i]
        out[i] = value if halves[i] < threshold else other


@compiled
def pack_kept(row: Floats, base: Floats, out: Bits) -> None:
    """A bit an element, lowest first: where `row` is not the base's own."""
    one, other = row.view(np.uint32), base.view(np.uint32)
    for byte in range(out.size):
        bits = np.uint8(0)
        for i in range(min(8, row.size - 8 * byte)):
            bits |= np.uint8(one[8 * byte + i] != other[8 * byte + i]) << np.uint8(i)
        out[byte] = bits


@compiled
def unpack_kept(bits: Bits, x: Floats, base: Floats, row: Floats) -> None:
    """`x` where the bit is set, `base` elsewhere."""
    for i in range(row.size):
        value, other = x[i], base[i]
        row[i] = value if (bits[i >> 3] >> np.uint8(i & 7)) & np.uint8(1) else other
