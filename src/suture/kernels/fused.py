"""Sum, round, store and measure in one loop: the path that most bytes of a merge take.

Works tile by tile, so that nothing between the stored inputs and the stored output leaves the first-level cache. The
three sums of the realised coefficient (`tile`) take part of every element of every input and of the output, so a NaN or
an infinity anywhere makes one of them not finite: that is how values that are not finite are noticed at no cost. (The
rounding of such a block is not to be used.)
"""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import TILE, Bits, Floats, Sums, compiled
from suture.kernels.span import with_term
from suture.kernels.streams import BLOCK, Stream, accepted, filled, place_in, room_for
from suture.kernels.tile import HALF_WORD, QUARTER, draw_tile, folded, rounding_term, wide, word_of


def pair_sum(stream: Stream, a: float, *, rounding: str, key: np.uint64, start: int, count: int, sums: Sums) -> int:
    """base + a (x - base) of stored bfloat16 (base, x) into stored bfloat16; the bits of weighted_sum, then narrow.

    start: index of the first of `count` elements in its tensor, a multiple of TILE. sums: (3,), added to, with base as
    general and x as clinical; its middle entry is left alone, since (o - base).d = a |d|^2. Returns how many elements
    are done: fewer where a file stops, or before a block (BLOCK elements) with a value that is not finite.
    """
    return _pairs(stream, np.float32(a), key, np.uint64(start), count, rounding == "stochastic", sums)


def scaled_pair_sum(
    stream: Stream,
    coefficients: tuple[float, float],
    *,
    clinical_is_base: bool,
    rounding: str,
    key: np.uint64,
    start: int,
    count: int,
    sums: Sums,
) -> int:
    """s base + a (x - base) of stored bfloat16 into stored bfloat16, (s, a) = coefficients: the bits of weighted_sum.

    For coefficients that do not add up to 1. Otherwise as `pair_sum`, all of `sums` included; general is the other one
    of both where clinical_is_base.
    """
    scale, a = (np.float32(value) for value in coefficients)
    stochastic = rounding == "stochastic"
    return _scaled_pairs(stream, (scale, a), clinical_is_base, key, np.uint64(start), count, stochastic, sums)


def triple_sum(
    stream: Stream,
    coefficients: tuple[float, float],
    roles: tuple[int, int],
    *,
    rounding: str,
    key: np.uint64,
    start: int,
    count: int,
    sums: Sums,
) -> int:
    """b + a (x - b) + c (y - b) of stored bfloat16 (b, x, y) into stored bfloat16, with (a, c) = coefficients.

    roles: positions of general and clinical among the three. Otherwise as `pair_sum`, all of `sums` included.
    """
    general, clinical = roles
    at = np.zeros(4, np.float32)  # d = at[0] (x - b) + at[1] (y - b), general - b = at[2] (x - b) + at[3] (y - b)
    for position in (1, 2):
        at[position - 1] = float(clinical == position) - float(general == position)
        at[position + 1] = float(general == position)
    a, c = (np.float32(value) for value in coefficients)
    return _triples(stream, (a, c), at, key, np.uint64(start), count, rounding == "stochastic", sums)


@compiled
def _pairs(
    stream: Stream, a: np.float32, key: np.uint64, start: np.uint64, count: int, stochastic: bool, sums: Sums
) -> int:
    for first in range(0, count, BLOCK):
        size, found = min(BLOCK, count - first), np.zeros(3)
        if not filled(stream, first, size):
            return first
        place, out = place_in(stream, first), room_for(stream, first, size)
        part, here = slice(place, place + size), start + np.uint64(first)
        base, x = stream.inputs[0][part], stream.inputs[1][part]
        _pair(base, x, a, key, here, stochastic, out, found)
        if not accepted(stream, first, size, found, sums):
            return first
    return count


@compiled
def _pair(
    base: Bits, x: Bits, a: np.float32, key: np.uint64, start: np.uint64, stochastic: bool, out: Bits, sums: Sums
) -> None:
    drawn = np.zeros(QUARTER, np.uint64)
    halves = drawn.view(np.uint16)
    squares, slips = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    full = out.size - out.size % TILE
    for t in range(0, full, TILE):
        if stochastic:
            draw_tile(key, start + np.uint64(t), drawn)
        tile = slice(t, t + TILE)
        _pair_tile(base[tile], x[tile], a, halves, stochastic, out[tile], squares, slips)
        sums[0] += folded(squares)
        sums[2] += folded(slips)
    if full < out.size:
        left = out.size - full
        last = np.zeros((3, TILE), np.uint16)
        last[0, :left], last[1, :left] = base[full:], x[full:]
        if stochastic:
            draw_tile(key, start + np.uint64(full), drawn)
        _pair_tile(last[0], last[1], a, halves, stochastic, last[2], squares, slips)
        out[full:] = last[2, :left]
        sums[0] += folded(squares)
        sums[2] += folded(slips)


@compiled
def _pair_tile(
    base: Bits, x: Bits, a: np.float32, drawn: Bits, stochastic: bool, out: Bits, squares: Floats, slips: Floats
) -> None:
    if stochastic:
        for i in range(TILE):
            b = wide(base[i])
            d = np.float32(wide(x[i]) - b)
            o = with_term(b, a * d)
            stored = np.uint32(word_of(o) + rounding_term(word_of(o), drawn[i], True)) >> HALF_WORD
            out[i] = np.uint16(stored)
            squares[i] = d * d
            slips[i] = d * (wide(np.uint16(stored)) - o)
    else:
        for i in range(TILE):
            b = wide(base[i])
            d = np.float32(wide(x[i]) - b)
            o = with_term(b, a * d)
            stored = np.uint32(word_of(o) + rounding_term(word_of(o), drawn[i], False)) >> HALF_WORD
            out[i] = np.uint16(stored)
            squares[i] = d * d
            slips[i] = d * (wide(np.uint16(stored)) - o)


@compiled
def _scaled_pairs(
    stream: Stream,
    coefficients: tuple[np.float32, np.float32],
    flipped: bool,
    key: np.uint64,
    start: np.uint64,
    count: int,
    stochastic: bool,
    sums: Sums,
) -> int:
    scale, a = coefficients
    for first in range(0, count, BLOCK):
        size, found = min(BLOCK, count - first), np.zeros(3)
        if not filled(stream, first, size):
            return first
        place, out = place_in(stream, first), room_for(stream, first, size)
        part, here = slice(place, place + size), start + np.uint64(first)
        base, x = stream.inputs[0][part], stream.inputs[1][part]
        _scaled(base, x, scale, a, flipped, key, here, stochastic, out, found)
        if not accepted(stream, first, size, found, sums):
            return first
    return count


@compiled
def _scaled(
    base: Bits,
    x: Bits,
    scale: np.float32,
    a: np.float32,
    flipped: bool,
    key: np.uint64,
    start: np.uint64,
    stochastic: bool,
    out: Bits,
    sums: Sums,
) -> None:
    drawn = np.zeros(QUARTER, np.uint64)
    halves = drawn.view(np.uint16)
    found = np.empty((3, TILE), np.float32)
    full = out.size - out.size % TILE
    for t in range(0, full, TILE):
        if stochastic:
            draw_tile(key, start + np.uint64(t), drawn)
        tile = slice(t, t + TILE)
        _scaled_tile(base[tile], x[tile], scale, a, flipped, halves, stochastic, out[tile], found)
        for row in range(3):
            sums[row] += folded(found[row])
    if full < out.size:
        left = out.size - full
        last = np.zeros((3, TILE), np.uint16)
        last[0, :left], last[1, :left] = base[full:], x[full:]
        if stochastic:
            draw_tile(key, start + np.uint64(full), drawn)
        _scaled_tile(last[0], last[1], scale, a, flipped, halves, stochastic, last[2], found)
        out[full:] = last[2, :left]
        for row in range(3):
            sums[row] += folded(found[row])


@compiled
def _scaled_tile(
    base: Bits,
    x: Bits,
    scale: np.float32,
    a: np.float32,
    flipped: bool,
    drawn: Bits,
    stochastic: bool,
    out: Bits,
    found: Floats,
) -> None:
    squares, middles, slips = found[0], found[1], found[2]
    sign = np.float32(-1) if flipped else np.float32(1)
    back = np.float32(1) if flipped else np.float32(0)  # general - base, in units of x - base
    for i in range(TILE):
        b = wide(base[i])
        d = np.float32(wide(x[i]) - b)
        o = with_term(np.float32(scale * b), np.float32(a * d))
        stored = np.uint32(word_of(o) + rounding_term(word_of(o), drawn[i], stochastic)) >> HALF_WORD
        out[i] = np.uint16(stored)
        e = np.float32(sign * d)
        squares[i] = d * d
        middles[i] = e * (np.float32(o - b) - np.float32(back * d))
        slips[i] = e * (wide(np.uint16(stored)) - o)


@compiled
def _triples(
    stream: Stream,
    coefficients: tuple[np.float32, np.float32],
    at: Floats,
    key: np.uint64,
    start: np.uint64,
    count: int,
    stochastic: bool,
    sums: Sums,
) -> int:
    a, c = coefficients
    for first in range(0, count, BLOCK):
        size, found = min(BLOCK, count - first), np.zeros(3)
        if not filled(stream, first, size):
            return first
        place, out = place_in(stream, first), room_for(stream, first, size)
        part, here = slice(place, place + size), start + np.uint64(first)
        base, x, y = stream.inputs[0][part], stream.inputs[1][part], stream.inputs[2][part]
        _triple(base, x, y, a, c, at, key, here, stochastic, out, found)
        if not accepted(stream, first, size, found, sums):
            return first
    return count


@compiled
def _triple(
    base: Bits,
    x: Bits,
    y: Bits,
    a: np.float32,
    c: np.float32,
    at: Floats,
    key: np.uint64,
    start: np.uint64,
    stochastic: bool,
    out: Bits,
    sums: Sums,
) -> None:
    drawn = np.zeros(QUARTER, np.uint64)
    halves = drawn.view(np.uint16)
    products = (np.empty(TILE, np.float32), np.empty(TILE, np.float32), np.empty(TILE, np.float32))
    full = out.size - out.size % TILE
    for t in range(0, full, TILE):
        if stochastic:
            draw_tile(key, start + np.uint64(t), drawn)
        tile = slice(t, t + TILE)
        _triple_tile(base[tile], x[tile], y[tile], a, c, at, halves, stochastic, out[tile], products)
        for row in range(3):
            sums[row] += folded(products[row])
    if full < out.size:
        left = out.size - full
        last = np.zeros((4, TILE), np.uint16)
        last[0, :left], last[1, :left], last[2, :left] = base[full:], x[full:], y[full:]
        if stochastic:
            draw_tile(key, start + np.uint64(full), drawn)
        _triple_tile(last[0], last[1], last[2], a, c, at, halves, stochastic, last[3], products)
        out[full:] = last[3, :left]
        for row in range(3):
            sums[row] += folded(products[row])


@compiled
def _triple_tile(
    base: Bits,
    x: Bits,
    y: Bits,
    a: np.float32,
    c: np.float32,
    at: Floats,
    drawn: Bits,
    stochastic: bool,
    out: Bits,
    products: tuple[Floats, Floats, Floats],
) -> None:
    squares, ways, slips = products
    to_x, to_y, from_x, from_y = at[0], at[1], at[2], at[3]
    for i in range(TILE):
        b = wide(base[i])
        p = np.float32(wide(x[i]) - b)
        q = np.float32(wide(y[i]) - b)
        o = with_term(with_term(b, a * p), c * q)
        stored = np.uint32(word_of(o) + rounding_term(word_of(o), drawn[i], stochastic)) >> HALF_WORD
        out[i] = np.uint16(stored)
        d = np.float32(to_x * p + to_y * q)
        squares[i] = d * d
        ways[i] = d * (np.float32(o - b) - np.float32(from_x * p + from_y * q))
        slips[i] = d * (wide(np.uint16(stored)) - o)
