"""What fused loops do to a tile: widen, draw, round, store, and the products of the realised coefficient.

Beside the output there are three sums, with d = clinical - general, o = the fp32 result and s = what was stored of it:

    |d|^2        o.d relative to general, (o - general).d        (s - o).d

Their products are fp32, added pairwise within a tile, then in fp64: 2**-20 of the sum of the terms' magnitudes at most.
"""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import TILE, Bits, Floats, Sums, compiled
from suture.kernels.stored import draw, narrow, widen

QUARTER = TILE // 4
HALF_WORD = np.uint32(16)
_BELOW_HALF, _ONE = np.uint32(0x7FFF), np.uint32(1)
_FOUR = np.uint64(4)


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


@compiled
def wide(half: np.uint16) -> np.float32:
    """The value of stored bfloat16."""
    return np.uint32(np.uint32(half) << HALF_WORD).view(np.float32)


@compiled
def word_of(value: np.float32) -> np.uint32:
    """Its bits."""
    return np.float32(value).view(np.uint32)


@compiled
def draw_tile(key: np.uint64, start: np.uint64, drawn: Bits) -> None:
    """The draws of one tile, 16 bits an element, as `narrow` takes them."""
    first = start // _FOUR
    for i in range(QUARTER):
        drawn[i] = draw(key, first + np.uint64(i))


@compiled
def rounding_term(word: np.uint32, drawn: np.uint16, stochastic: bool) -> np.uint32:
    """What is added before the low half is dropped."""
    return np.uint32(drawn) if stochastic else np.uint32(_BELOW_HALF + ((word >> HALF_WORD) & _ONE))


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
        word = word_of(values[i])
        stored = np.uint32(word + rounding_term(word, drawn[i], stochastic)) >> HALF_WORD
        if np.isnan(values[i]):
            stored = np.uint32(0x7FC0)
        out[i] = np.uint16(stored)
        back[i] = wide(np.uint16(stored))


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
