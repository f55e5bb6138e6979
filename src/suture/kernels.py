"""Fused numba loops over cache-sized blocks: the CPU path of every step, at memory speed.

A block is a contiguous one-dimensional float32 array. Loops run without the interpreter lock, without fast-math and
without fused multiply-add, so the bits do not depend on the processor, on block sizes or on the number of workers.
`suture.numerics.steps` is the same in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from suture.numerics.keys import GAMMA, MULTIPLIER_1, MULTIPLIER_2, keep_threshold

Floats = NDArray[np.float32]
Bits = NDArray[Any]

SEGMENT = 2**16
"""Elements of one segment of a float64 sum; segments are counted from the start of the tensor and added in order."""

_LANES = 16
_UNIT_TOLERANCE = 1e-12

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _compiled(loop: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a loop: the one place where numba's untyped decorator is used."""
    compiled: Callable[_P, _R] = numba.njit(nogil=True, cache=True, error_model="numpy")(loop)
    return compiled


# --- stored bits <-> float32 ------------------------------------------------------------------------------------


def widen(raw: Bits, dtype: str, out: Floats) -> None:
    """Stored bits of `dtype` ("F32", "BF16", "F16", "F64"; unsigned integers of that width) into float32."""
    if dtype == "BF16":
        _widen_bf16(raw, out.view(np.uint32))
    elif dtype == "F16":
        _widen_f16(raw, out, out.view(np.uint32))
    else:
        out[:] = raw.view(_WIDE[dtype])


def narrow(values: Floats, dtype: str, out: Bits, *, rounding: str, key: np.uint64, start: int) -> None:
    """Float32 into the stored bits of `dtype`.

    rounding "nearest": ties to even. "stochastic": one of the two neighbours on the grid of `dtype`, with the
    probabilities that make it unbiased, drawn from `key` and the element's index `start + i`. A value on the grid stays
    as it is under both; NaN and infinity are kept. A finite value too large for `dtype` becomes infinite: "nearest"
    from half a step beyond the largest finite value, "stochastic" from anywhere beyond it.
    """
    if dtype in _WIDE:
        out.view(_WIDE[dtype])[:] = values
        return
    loop = _narrow_bf16 if dtype == "BF16" else _narrow_f16
    loop(values.view(np.uint32), rounding == "stochastic", key, np.uint64(start), out)


_WIDE = {"F32": np.float32, "F64": np.float64}

_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITY = np.uint32(0x7F800000)
_U0, _U1, _U63, _U64 = np.uint64(0), np.uint64(1), np.uint64(63), np.uint64(64)
_MANTISSA, _IMPLICIT = np.uint64(0x7FFFFF), np.uint64(0x800000)
_BF16_SHIFT = np.uint64(16)
_BF16_LARGEST = np.uint64(0x7F7F0000)
_F16_SHIFT = np.uint64(13)
_F16_REBIAS = np.uint64(112 << 23)
_F16_INFINITY = np.uint64(0x7C00)
_F16_LARGEST = np.uint64(0x477FE000)
_F16_NORMAL = np.uint64(113)
_F16_UNSCALE = np.float32(2.0**112)


@_compiled
def _widen_bf16(raw: Bits, out: Bits) -> None:
    for i in range(out.size):
        out[i] = np.uint32(np.uint32(raw[i]) << np.uint32(16))


@_compiled
def _widen_f16(raw: Bits, out: Floats, bits: Bits) -> None:
    for i in range(out.size):
        half = np.uint32(raw[i])
        bits[i] = np.uint32((half & np.uint32(0x7FFF)) << np.uint32(13))
        out[i] *= _F16_UNSCALE
        if (half & np.uint32(0x7C00)) == np.uint32(0x7C00):
            bits[i] |= _INFINITY
        bits[i] |= np.uint32((half & np.uint32(0x8000)) << np.uint32(16))


@_compiled
def _draw(key: np.uint64, index: np.uint64) -> np.uint64:
    z = key + (index + _U1) * np.uint64(GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(MULTIPLIER_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(MULTIPLIER_2)
    return z ^ (z >> np.uint64(31))


@_compiled
def _rounded(value: np.uint64, shift: np.uint64, stochastic: bool, key: np.uint64, index: np.uint64) -> np.uint64:
    """value / 2**shift as an integer, rounded; `shift` in 1..63."""
    if stochastic:
        return (value + (_draw(key, index) >> (_U64 - shift))) >> shift
    return (value + (_U1 << (shift - _U1)) - _U1 + ((value >> shift) & _U1)) >> shift


@_compiled
def _narrow_bf16(bits: Bits, stochastic: bool, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        word = bits[i]
        magnitude = np.uint64(word & _MAGNITUDE)
        if magnitude > _INFINITY:
            result = (magnitude >> _BF16_SHIFT) | np.uint64(0x40)
        elif stochastic and magnitude > _BF16_LARGEST:
            result = np.uint64(0x7F80)
        else:
            result = _rounded(magnitude, _BF16_SHIFT, stochastic, key, start + np.uint64(i))
        out[i] = np.uint16(result | np.uint64((word >> np.uint32(16)) & np.uint32(0x8000)))


@_compiled
def _narrow_f16(bits: Bits, stochastic: bool, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        word = bits[i]
        magnitude = np.uint64(word & _MAGNITUDE)
        exponent = magnitude >> np.uint64(23)
        if magnitude > _INFINITY:
            result = _F16_INFINITY | np.uint64(0x200) | ((magnitude & _MANTISSA) >> _F16_SHIFT)
        elif stochastic and magnitude > _F16_LARGEST:
            result = _F16_INFINITY
        elif exponent >= _F16_NORMAL:
            result = _rounded(magnitude - _F16_REBIAS, _F16_SHIFT, stochastic, key, start + np.uint64(i))
            result = min(result, _F16_INFINITY)
        elif exponent >= _U63:  # a step of the subnormal grid is 2**-24
            mantissa = (magnitude & _MANTISSA) | _IMPLICIT
            result = _rounded(mantissa, np.uint64(126) - exponent, stochastic, key, start + np.uint64(i))
        else:  # below 2**-64: rounds up with a probability under 2**-40, taken as 0
            result = _U0
        out[i] = np.uint16(result | np.uint64((word >> np.uint32(16)) & np.uint32(0x8000)))


@_compiled
def count_nonfinite(values: Floats) -> int:
    """How many elements are NaN or infinite."""
    count = 0
    for i in range(values.size):
        if not np.isfinite(values[i]):
            count += 1
    return count


# --- span ---------------------------------------------------------------------------------------------------------


def anchored(coefficients: Sequence[float]) -> tuple[int, float]:
    """The index of the coefficient of largest magnitude (the lowest at a tie), and their sum, snapped to 1 near 1."""
    anchor = max(range(len(coefficients)), key=lambda i: abs(coefficients[i]))
    total = fsum(coefficients)
    return anchor, 1.0 if abs(total - 1.0) < _UNIT_TOLERANCE else total


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


def gram_segment(blocks: Sequence[Floats], anchor: int) -> NDArray[np.float64]:
    """Gram matrix (n, n) of {x_k, x_i - x_k} over one segment of at most SEGMENT elements, k = `anchor`.

    Row and column k hold x_k itself. Differences are formed in fp32, products and sums in fp64 (16 lanes).
    """
    base = blocks[anchor]
    vectors = [base if i == anchor else x - base for i, x in enumerate(blocks)]
    gram = np.empty((len(blocks), len(blocks)))
    for i, left in enumerate(vectors):
        for j in range(i + 1):
            gram[i, j] = gram[j, i] = _dot(left, vectors[j])
    return gram


@_compiled
def _dot(x: Floats, y: Floats) -> float:
    lanes = np.zeros(_LANES)
    even = x.size - x.size % _LANES
    for i in range(0, even, _LANES):
        for lane in range(_LANES):
            lanes[lane] += np.float64(x[i + lane]) * np.float64(y[i + lane])
    for i in range(even, x.size):
        lanes[i - even] += np.float64(x[i]) * np.float64(y[i])
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    return total


def realised_sums(output: Floats, general: Floats, clinical: Floats) -> tuple[float, float]:
    """The fp64 sums (output - general).(clinical - general) and |clinical - general|^2 over one segment.

    Their quotient over all segments is the realised coefficient: the share of the way from general to clinical that
    the output has truly gone.
    """
    way = clinical - general
    return _dot(output - general, way), _dot(way, way)


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


@_compiled
def l1_distance(x: Floats, y: Floats) -> float:
    """Sum of |x - y| over one segment: differences in fp32, the sum in fp64 (16 lanes)."""
    lanes = np.zeros(_LANES)
    for i in range(x.size):
        lanes[i % _LANES] += np.float64(abs(x[i] - y[i]))
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    return total


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
