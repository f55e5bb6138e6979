"""Fused numba loops over cache-sized blocks: the CPU path of every step, at memory speed.

A block is a contiguous one-dimensional float32 array. Loops run without the interpreter lock, without fast-math and
without fused multiply-add, so the bits do not depend on the processor, on block sizes or on the number of workers.
`suture.numerics.steps` is the same in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from suture.numerics.anchor import SEGMENT, anchored
from suture.numerics.keys import GAMMA, MULTIPLIER_1, MULTIPLIER_2, keep_threshold, random_key

__all__ = [
    "SEGMENT",
    "count_nonfinite",
    "empty_like",
    "gram_segment",
    "l1_distance",
    "narrow",
    "nearswap",
    "random_key",
    "realised_sums",
    "thinned",
    "weighted_sum",
    "widen",
]

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Bits = NDArray[Any]

_LANES = 16

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _compiled(loop: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a loop when it is first called, and keep it on disk where numba finds a folder that can be written.

    The one place where numba's untyped decorator is used.
    """
    compiled: Callable[_P, _R]
    try:
        compiled = numba.njit(nogil=True, error_model="numpy", cache=True)(loop)
    except RuntimeError:  # no such folder, as in a read-only container
        compiled = numba.njit(nogil=True, error_model="numpy")(loop)
    return compiled


# --- stored bits <-> float32 ------------------------------------------------------------------------------------


def widen(raw: Bits, dtype: str, out: Floats) -> None:
    """Stored bits of `dtype` ("F32", "BF16", "F16"; unsigned integers of that width) into float32."""
    _WIDEN[dtype](raw, out.view(np.uint32))


def narrow(values: Floats, dtype: str, out: Bits, *, rounding: str, key: np.uint64, start: int) -> None:
    """Float32 into the stored bits of `dtype` ("F32", "BF16", "F16").

    rounding "nearest": ties to even. "stochastic": one of the two neighbours on the grid of `dtype`, with the
    probabilities that make it unbiased, drawn from `key` and the element's index `start + i`. A value on the grid stays
    as it is under both; NaN and infinity are kept. A finite value too large for `dtype` becomes infinite: "nearest"
    from half a step beyond the largest finite value, "stochastic" from anywhere beyond it.
    """
    if dtype == "F32":
        np.copyto(out, values.view(np.uint32))
    else:
        _NARROW[dtype, rounding](values.view(np.uint32), key, np.uint64(start), out)


# 32-bit words: float32 and bfloat16.
_SIGN, _MAGNITUDE, _INFINITY = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)
_ONE, _HALF_WORD = np.uint32(1), np.uint32(16)
_BF16_LARGEST, _BF16_QUIET = np.uint32(0x7F7F0000), np.uint32(0x40)
_BELOW_HALF, _ALL_BUT_ONE = np.uint32(0x7FFF), np.uint32(0xFFFF)
_HALF_SIGN, _HALF_INFINITY, _HALF_DROP = np.uint32(0x8000), np.uint32(0x7C00), np.uint32(13)
_HALF_SCALE = np.float32(2.0**112)
# 64-bit words: draws, and float16 with its subnormals.
_U0, _U1, _U63, _U64 = np.uint64(0), np.uint64(1), np.uint64(63), np.uint64(64)
_MANTISSA, _IMPLICIT, _MANTISSA_BITS = np.uint64(0x7FFFFF), np.uint64(0x800000), np.uint64(23)
_F16_SHIFT, _F16_REBIAS, _F16_NORMAL = np.uint64(13), np.uint64(112 << 23), np.uint64(113)
_F16_INFINITY, _F16_QUIET, _F16_LARGEST = np.uint64(0x7C00), np.uint64(0x200), np.uint32(0x477FE000)
_F16_SUBNORMAL = np.uint64(126)


@_compiled
def _widen_bf16(raw: Bits, out: Bits) -> None:
    for i in range(out.size):
        out[i] = np.uint32(np.uint32(raw[i]) << _HALF_WORD)


@_compiled
def _widen_f16(raw: Bits, out: Bits) -> None:
    for i in range(out.size):
        half = np.uint32(raw[i])
        value = np.float32(np.uint32((half & _BELOW_HALF) << _HALF_DROP).view(np.float32) * _HALF_SCALE)
        word = value.view(np.uint32) | np.uint32((half & _HALF_SIGN) << _HALF_WORD)
        out[i] = word | _INFINITY if half & _HALF_INFINITY == _HALF_INFINITY else word


@_compiled
def _draw(key: np.uint64, index: np.uint64) -> np.uint64:
    z = key + (index + _U1) * np.uint64(GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(MULTIPLIER_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(MULTIPLIER_2)
    return z ^ (z >> np.uint64(31))


@_compiled
def _bf16(word: np.uint32, increment: np.uint32) -> np.uint32:
    """Add `increment` (below 2**16), drop the low half; a NaN stays one."""
    if word & _MAGNITUDE > _INFINITY:
        return np.uint32(word >> _HALF_WORD) | _BF16_QUIET
    return np.uint32(np.uint32(word + increment) >> _HALF_WORD)


@_compiled
def _bf16_nearest(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        out[i] = _bf16(bits[i], np.uint32(_BELOW_HALF + np.uint32(np.uint32(bits[i] >> _HALF_WORD) & _ONE)))


@_compiled
def _bf16_stochastic(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        draw = np.uint32(_draw(key, start + np.uint64(i)) >> np.uint64(48))
        out[i] = _bf16(bits[i], _ALL_BUT_ONE if bits[i] & _MAGNITUDE > _BF16_LARGEST else draw)


@_compiled
def _f16(word: np.uint32, stochastic: bool, draw: np.uint64) -> np.uint64:
    sign = np.uint64((word & _SIGN) >> _HALF_WORD)
    magnitude = np.uint64(word & _MAGNITUDE)
    exponent = magnitude >> _MANTISSA_BITS
    if magnitude > _INFINITY:
        return sign | _F16_INFINITY | _F16_QUIET | ((magnitude & _MANTISSA) >> _F16_SHIFT)
    if stochastic and magnitude > _F16_LARGEST:
        return sign | _F16_INFINITY
    if exponent >= _F16_NORMAL:
        return sign | min(_shifted(magnitude - _F16_REBIAS, _F16_SHIFT, stochastic, draw), _F16_INFINITY)
    if exponent >= _U63:  # a step of the subnormal grid is 2**-24
        return sign | _shifted((magnitude & _MANTISSA) | _IMPLICIT, _F16_SUBNORMAL - exponent, stochastic, draw)
    return sign  # below 2**-64: would round up with a probability under 2**-40, taken as 0


@_compiled
def _shifted(value: np.uint64, shift: np.uint64, stochastic: bool, draw: np.uint64) -> np.uint64:
    """value / 2**shift as an integer, rounded; `shift` in 1..63."""
    if stochastic:
        return (value + (draw >> (_U64 - shift))) >> shift
    return (value + (_U1 << (shift - _U1)) - _U1 + ((value >> shift) & _U1)) >> shift


@_compiled
def _f16_nearest(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        out[i] = _f16(bits[i], False, _U0)


@_compiled
def _f16_stochastic(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        out[i] = _f16(bits[i], True, _draw(key, start + np.uint64(i)))


_WIDEN: dict[str, Callable[[Bits, Bits], None]] = {
    "BF16": _widen_bf16,
    "F16": _widen_f16,
    "F32": lambda raw, out: np.copyto(out, raw),
}
_NARROW = {
    ("BF16", "nearest"): _bf16_nearest,
    ("BF16", "stochastic"): _bf16_stochastic,
    ("F16", "nearest"): _f16_nearest,
    ("F16", "stochastic"): _f16_stochastic,
}


@_compiled
def count_nonfinite(values: Floats) -> int:
    """How many elements are NaN or infinite."""
    count = 0
    for i in range(values.size):
        if not np.isfinite(values[i]):
            count += 1
    return count


# --- span ---------------------------------------------------------------------------------------------------------


def weighted_sum(blocks: Sequence[Floats], coefficients: Sequence[float], out: Floats) -> None:
    """sum_i a_i x_i into `out`, in fp32, as s x_k + sum over i != k of a_i (x_i - x_k), s = sum_i a_i, k = the anchor.

    Equal inputs with s = 1, and coefficients that are 0 but for a single 1, return the input's own bits. An input with
    coefficient 0 is not read. `out` overlaps no input.
    """
    anchor, total = anchored(coefficients)
    base, scale = blocks[anchor], np.float32(total)
    terms = [(x, np.float32(a)) for i, (x, a) in enumerate(zip(blocks, coefficients, strict=True)) if i != anchor and a]
    if not terms:
        np.multiply(base, scale, out=out)
    elif len(terms) == 1:
        _sum_2(base, scale, *terms[0], out)
    else:
        _sum_3(base, scale, *terms[0], *terms[1], out)
        for x, a in terms[2:]:
            _add_term(base, x, a, out)


@_compiled
def _with_term(total: np.float32, term: np.float32) -> np.float32:
    """total + term, where a zero term leaves a negative zero alone."""
    return total + term if term != np.float32(0) else total


@_compiled
def _sum_2(base: Floats, scale: np.float32, x: Floats, a: np.float32, out: Floats) -> None:
    for i in range(out.size):
        out[i] = _with_term(scale * base[i], a * (x[i] - base[i]))


@_compiled
def _sum_3(base: Floats, scale: np.float32, x: Floats, a: np.float32, y: Floats, b: np.float32, out: Floats) -> None:
    for i in range(out.size):
        first = _with_term(scale * base[i], a * (x[i] - base[i]))
        out[i] = _with_term(first, b * (y[i] - base[i]))


@_compiled
def _add_term(base: Floats, x: Floats, a: np.float32, out: Floats) -> None:
    for i in range(out.size):
        out[i] = _with_term(out[i], a * (x[i] - base[i]))


def gram_segment(blocks: Sequence[Floats], anchor: int) -> Sums:
    """Gram matrix (n, n) of {x_k, x_i - x_k} over one segment of at most SEGMENT elements, k = `anchor`.

    Row and column k hold x_k itself. Differences are formed in fp32, products and sums in fp64 (16 lanes).
    """
    base = blocks[anchor]
    others = [i for i in range(len(blocks)) if i != anchor] or [anchor]
    gram = np.empty((len(blocks), len(blocks)))
    for i in others:
        square, mixed, delta = _anchored_sums(base, blocks[i])
        gram[i, i] = delta
        gram[i, anchor] = gram[anchor, i] = mixed
        gram[anchor, anchor] = square
    for i, j in combinations(others, 2):
        gram[i, j] = gram[j, i] = _way_sums(blocks[i], base, blocks[j])[0]
    return gram


def realised_sums(output: Floats, general: Floats, clinical: Floats) -> tuple[float, float]:
    """The fp64 sums (output - general).(clinical - general) and |clinical - general|^2 over one segment.

    Their quotient over all segments is the realised coefficient: the share of the way from general to clinical that
    the output has truly gone.
    """
    dot, square = _way_sums(output, general, clinical)
    return float(dot), float(square)


@_compiled
def _anchored_sums(base: Floats, x: Floats) -> Sums:
    """(|base|^2, base.(x - base), |x - base|^2)."""
    lanes = np.zeros((3, _LANES))
    full = base.size - base.size % _LANES
    for i in range(0, full, _LANES):
        for lane in range(_LANES):
            _add_anchored(lanes, lane, base[i + lane], x[i + lane])
    for lane in range(base.size - full):
        _add_anchored(lanes, lane, base[full + lane], x[full + lane])
    return _added(lanes)


@_compiled
def _add_anchored(lanes: Sums, lane: int, base: np.float32, x: np.float32) -> None:
    anchor, delta = np.float64(base), np.float64(x - base)
    lanes[0, lane] += anchor * anchor
    lanes[1, lane] += anchor * delta
    lanes[2, lane] += delta * delta


@_compiled
def _way_sums(x: Floats, base: Floats, y: Floats) -> Sums:
    """((x - base).(y - base), |y - base|^2)."""
    lanes = np.zeros((2, _LANES))
    full = base.size - base.size % _LANES
    for i in range(0, full, _LANES):
        for lane in range(_LANES):
            _add_way(lanes, lane, x[i + lane], base[i + lane], y[i + lane])
    for lane in range(base.size - full):
        _add_way(lanes, lane, x[full + lane], base[full + lane], y[full + lane])
    return _added(lanes)


@_compiled
def _add_way(lanes: Sums, lane: int, x: np.float32, base: np.float32, y: np.float32) -> None:
    way = np.float64(y - base)
    lanes[0, lane] += np.float64(x - base) * way
    lanes[1, lane] += way * way


@_compiled
def _added(lanes: Sums) -> Sums:
    """The lanes of each row, added in order."""
    sums = np.zeros(lanes.shape[0])
    for row in range(lanes.shape[0]):
        for lane in range(_LANES):
            sums[row] += lanes[row, lane]
    return sums


# --- elementwise --------------------------------------------------------------------------------------------------


def empty_like(block: Floats) -> Floats:
    """A new block of the same length, with arbitrary content."""
    return np.empty_like(block)


def thinned(values: Floats, base: Floats, key: np.uint64, start: int, density: float) -> Floats:
    """`values` where a draw keeps the element (probability `density`, index `start + i`), `base` elsewhere."""
    out = np.empty_like(values)
    _thin(values, base, key, np.uint64(start), keep_threshold(density), out)
    return out


@_compiled
def _thin(values: Floats, base: Floats, key: np.uint64, start: np.uint64, threshold: np.uint64, out: Floats) -> None:
    for i in range(out.size):
        kept = (_draw(key, start + np.uint64(i)) >> np.uint64(11)) < threshold
        out[i] = values[i] if kept else base[i]


def l1_distance(x: Floats, y: Floats) -> float:
    """Sum of |x - y| over one segment: differences in fp32, the sum in fp64 (16 lanes)."""
    return float(_l1(x, y)[0])


@_compiled
def _l1(x: Floats, y: Floats) -> Sums:
    lanes = np.zeros((1, _LANES))
    full = x.size - x.size % _LANES
    for i in range(0, full, _LANES):
        for lane in range(_LANES):
            lanes[0, lane] += np.float64(abs(x[i + lane] - y[i + lane]))
    for lane in range(x.size - full):
        lanes[0, lane] += np.float64(abs(x[full + lane] - y[full + lane]))
    return _added(lanes)


def nearswap(base: Floats, x: Floats, threshold: float, out: Floats) -> None:
    """base + w (x - base), w = clip(threshold / max(|x - base|, 1e-6), 0, 1), in fp32; exactly x where w = 1."""
    _nearswap(base, x, np.float32(threshold), np.float32(1e-6), out)


@_compiled
def _nearswap(base: Floats, x: Floats, threshold: np.float32, floor: np.float32, out: Floats) -> None:
    one = np.float32(1)
    for i in range(out.size):
        delta = x[i] - base[i]
        weight = threshold / max(abs(delta), floor)
        out[i] = x[i] if weight >= one else _with_term(base[i], weight * delta)
