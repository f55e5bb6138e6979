"""Rank of each magnitude in its row: a radix sort of the bits, in three turns of eleven."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Bits, Floats, compiled
from suture.kernels.select import magnitude_bits

Words = NDArray[np.uint64]

_DIGIT, _ONE = np.uint32(2047), np.uint32(1)
_WORD_DIGIT, _PLACE = np.uint64(2047), np.uint64(0xFFFFFFFF)
_SHIFTS = (np.uint64(32), np.uint64(43), np.uint64(54))


@compiled
def row_ranks(x: Floats, base: Floats, columns: int) -> Bits:
    """Rank of each |x - base| in its row, 0 for the least; equal ones in the order of their place."""
    ranks = np.empty(x.size, np.uint32)
    words, other = np.empty(columns, np.uint64), np.empty(columns, np.uint64)
    tables = np.empty((3, 2048), np.uint32)
    for first in range(0, x.size, columns):
        end = first + columns
        _fill(x[first:end], base[first:end], words, tables)
        _sort(words, tables[0], _SHIFTS[0], other)
        _sort(other, tables[1], _SHIFTS[1], words)
        _rank(words, tables[2], _SHIFTS[2], ranks[first:end])
    return ranks


@compiled
def _fill(x: Floats, base: Floats, words: Words, tables: Bits) -> None:
    """Words of magnitude and place, and where in the sorted row the elements of each digit begin."""
    tables[:] = np.uint32(0)
    for i in range(x.size):
        bits = magnitude_bits(x[i], base[i])
        words[i] = (np.uint64(bits) << np.uint64(32)) | np.uint64(i)
        tables[0, bits & _DIGIT] += _ONE
        tables[1, (bits >> np.uint32(11)) & _DIGIT] += _ONE
        tables[2, bits >> np.uint32(22)] += _ONE
    for turn in range(3):
        total = np.uint32(0)
        for digit in range(2048):
            count = tables[turn, digit]
            tables[turn, digit] = total
            total += count


@compiled
def _sort(words: Words, table: Bits, shift: np.uint64, out: Words) -> None:
    for i in range(words.size):
        digit = (words[i] >> shift) & _WORD_DIGIT
        to = table[digit]
        table[digit] = to + _ONE
        out[to] = words[i]


@compiled
def _rank(words: Words, table: Bits, shift: np.uint64, ranks: Bits) -> None:
    """The last turn, which needs no words any more."""
    for i in range(words.size):
        digit = (words[i] >> shift) & _WORD_DIGIT
        to = table[digit]
        table[digit] = to + _ONE
        ranks[words[i] & _PLACE] = to
