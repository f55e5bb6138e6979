"""Sum, round, store and measure in one loop: the path that most bytes of a merge take.

Works tile by tile, so that nothing between the stored inputs and the stored output leaves the first-level cache. Beside
the output each loop gives three sums for the realised coefficient, with d = clinical - general, o = the fp32 result and
s = what was stored of it:

    |d|^2        o.d relative to general, (o - general).d        (s - o).d

Their products are fp32, added pairwise within a tile, then in fp64: 2**-20 of the sum of the terms' magnitudes at most.
They take part of every element of every input and of the output, so a NaN or an infinity anywhere makes one of them not
finite: that is how values that are not finite are noticed at no cost. (The rounding of such a block is not to be used.)
"""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import LANES, TILE, Bits, Floats, Sums, compiled
from suture.kernels.span import added, with_term
from suture.kernels.stored import draw, narrow, widen
from suture.kernels.streams import BLOCK, Stream, filled, place_in, room_for, written
from suture.numerics.anchor import SEGMENT

QUARTER = TILE // 4
_HALF_WORD, _BELOW_HALF, _ONE = np.uint32(16), np.uint32(0x7FFF), np.uint32(1)
_FOUR = np.uint64(4)


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


def finish(
    values: Floats,
    general: Floats,
    clinical: Floats,
    dtype: str,
    *,
    rounding: str,
    key: np.uint64,
    start: int,
    out: Bits,
    back: Floats,
    sums: Sums,
) -> None:
    """Round and store any fp32 result; `back` receives what was stored, `sums` all three sums (see the module)."""
    if dtype == "BF16" and start % TILE == 0:
        _finish_bf16(values, general, clinical, key, np.uint64(start), rounding == "stochastic", out, back, sums)
        return
    narrow(values, dtype, out, rounding=rounding, key=key, start=start)
    widen(out, dtype, back)
    _measure(values, general, clinical, back, sums)


def gram_pairs(stream: Stream, count: int) -> Sums | None:
    """(segments, 2, 2): the Gram matrix of {b, x - b} of stored bfloat16 in each segment: the bits of gram_segment.

    None where a file did not give all.
    """
    grams = np.empty((-(-count // SEGMENT), 2, 2))
    return grams if _grams(stream, count, grams) else None


@compiled
def _grams(stream: Stream, count: int, grams: Sums) -> bool:
    for segment in range(grams.shape[0]):
        first = segment * BLOCK
        size = min(BLOCK, count - first)
        if not filled(stream, first, size):
            return False
        part = slice(place_in(stream, first), place_in(stream, first) + size)
        square, mixed, delta = gram_pair(stream.inputs[0][part], stream.inputs[1][part])
        grams[segment, 0, 0], grams[segment, 1, 1] = square, delta
        grams[segment, 0, 1] = grams[segment, 1, 0] = mixed
    return True


@compiled
def gram_pair(base: Bits, x: Bits) -> Sums:
    """(|b|^2, b.(x - b), |x - b|^2) of stored bfloat16 over one segment: the bits of gram_segment."""
    squares, mixed, deltas = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    full = base.size - base.size % LANES
    for i in range(0, full, LANES):
        b, y = base[i : i + LANES], x[i : i + LANES]
        for lane in range(LANES):
            anchor, delta = np.float64(_wide(b[lane])), np.float64(np.float32(_wide(y[lane]) - _wide(b[lane])))
            squares[lane] += anchor * anchor
            mixed[lane] += anchor * delta
            deltas[lane] += delta * delta
    for lane in range(base.size - full):
        b0 = _wide(base[full + lane])
        anchor, delta = np.float64(b0), np.float64(np.float32(_wide(x[full + lane]) - b0))
        squares[lane] += anchor * anchor
        mixed[lane] += anchor * delta
        deltas[lane] += delta * delta
    return added((squares, mixed, deltas))


@compiled
def _wide(half: np.uint16) -> np.float32:
    return np.uint32(np.uint32(half) << _HALF_WORD).view(np.float32)


@compiled
def _word(value: np.float32) -> np.uint32:
    return np.float32(value).view(np.uint32)


@compiled
def draw_tile(key: np.uint64, start: np.uint64, drawn: Bits) -> None:
    """The draws of one tile, 16 bits an element, as `narrow` takes them."""
    first = start // _FOUR
    for i in range(QUARTER):
        drawn[i] = draw(key, first + np.uint64(i))


@compiled
def _up(word: np.uint32, drawn: np.uint16, stochastic: bool) -> np.uint32:
    """What is added before the low half is dropped."""
    return np.uint32(drawn) if stochastic else np.uint32(_BELOW_HALF + ((word >> _HALF_WORD) & _ONE))


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
        if not (np.isfinite(found).all() and written(stream, first, size)):
            return first
        sums += found
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
            b = _wide(base[i])
            d = np.float32(_wide(x[i]) - b)
            o = with_term(b, a * d)
            stored = np.uint32(_word(o) + _up(_word(o), drawn[i], True)) >> _HALF_WORD
            out[i] = np.uint16(stored)
            squares[i] = d * d
            slips[i] = d * (_wide(np.uint16(stored)) - o)
    else:
        for i in range(TILE):
            b = _wide(base[i])
            d = np.float32(_wide(x[i]) - b)
            o = with_term(b, a * d)
            stored = np.uint32(_word(o) + _up(_word(o), drawn[i], False)) >> _HALF_WORD
            out[i] = np.uint16(stored)
            squares[i] = d * d
            slips[i] = d * (_wide(np.uint16(stored)) - o)


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
        if not (np.isfinite(found).all() and written(stream, first, size)):
            return first
        sums += found
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
        b = _wide(base[i])
        d = np.float32(_wide(x[i]) - b)
        o = with_term(np.float32(scale * b), np.float32(a * d))
        stored = np.uint32(_word(o) + _up(_word(o), drawn[i], stochastic)) >> _HALF_WORD
        out[i] = np.uint16(stored)
        e = np.float32(sign * d)
        squares[i] = d * d
        middles[i] = e * (np.float32(o - b) - np.float32(back * d))
        slips[i] = e * (_wide(np.uint16(stored)) - o)


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
        if not (np.isfinite(found).all() and written(stream, first, size)):
            return first
        sums += found
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
        b = _wide(base[i])
        p = np.float32(_wide(x[i]) - b)
        q = np.float32(_wide(y[i]) - b)
        o = with_term(with_term(b, a * p), c * q)
        stored = np.uint32(_word(o) + _up(_word(o), drawn[i], stochastic)) >> _HALF_WORD
        out[i] = np.uint16(stored)
        d = np.float32(to_x * p + to_y * q)
        squares[i] = d * d
        ways[i] = d * (np.float32(o - b) - np.float32(from_x * p + from_y * q))
        slips[i] = d * (_wide(np.uint16(stored)) - o)


@compiled
def _finish_bf16(
    values: Floats,
    general: Floats,
    clinical: Floats,
    key: np.uint64,
    start: np.uint64,
    stochastic: bool,
    out: Bits,
    back: Floats,
    sums: Sums,
) -> None:
    drawn = np.zeros(QUARTER, np.uint64)
    halves = drawn.view(np.uint16)
    for t in range(0, values.size, TILE):
        if stochastic:
            draw_tile(key, start + np.uint64(t), drawn)
        tile = slice(t, min(t + TILE, values.size))
        round_tile(values[tile], halves, stochastic, out[tile], back[tile])
    _measure(values, general, clinical, back, sums)


@compiled
def round_tile(values: Floats, drawn: Bits, stochastic: bool, out: Bits, back: Floats) -> None:
    """Store values that begin at a multiple of four, with their draws; `back` receives what was stored."""
    for i in range(values.size):
        word = _word(values[i])
        stored = np.uint32(word + _up(word, drawn[i], stochastic)) >> _HALF_WORD
        if np.isnan(values[i]):
            stored = np.uint32(0x7FC0)
        out[i] = np.uint16(stored)
        back[i] = _wide(np.uint16(stored))


@compiled
def _measure(values: Floats, general: Floats, clinical: Floats, back: Floats, sums: Sums) -> None:
    products = np.zeros(3 * TILE, np.float32)
    for t in range(0, values.size, TILE):
        tile = slice(t, min(t + TILE, values.size))
        if t + TILE > values.size:
            products[:] = np.float32(0)
        measure_part(values[tile], general[tile], clinical[tile], back[tile], products)
        fold_products(products, sums)


@compiled
def measure_part(values: Floats, general: Floats, clinical: Floats, back: Floats, products: Floats) -> None:
    """Products of the three sums, each TILE after the one before: in one array, since the compiler makes vector loops
    only where few arrays might overlap."""
    for i in range(values.size):
        d = np.float32(clinical[i] - general[i])
        products[i] = d * d
        products[i + TILE] = d * np.float32(values[i] - general[i])
        products[i + 2 * TILE] = d * np.float32(back[i] - values[i])


@compiled
def fold_products(products: Floats, sums: Sums) -> None:
    """Add a tile of all three to `sums`."""
    for row in range(3):
        sums[row] += folded(products[row * TILE : (row + 1) * TILE])


@compiled
def folded(products: Floats) -> float:
    """Sum of a tile: eight far apart at a time in fp32, three times, then the last four in fp64. Overwrites it."""
    for k in range(256):
        products[k] = ((products[k] + products[k + 256]) + (products[k + 512] + products[k + 768])) + (
            (products[k + 1024] + products[k + 1280]) + (products[k + 1536] + products[k + 1792])
        )
    for k in range(32):
        products[k] = ((products[k] + products[k + 32]) + (products[k + 64] + products[k + 96])) + (
            (products[k + 128] + products[k + 160]) + (products[k + 192] + products[k + 224])
        )
    total = 0.0
    for k in range(32):
        total += np.float64(products[k])
    return total
