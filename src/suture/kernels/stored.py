"""Stored bits <-> float32, rounded to nearest or stochastically, and the draws of all randomness."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from suture.kernels.compile import Bits, Floats, compiled
from suture.numerics.keys import GAMMA, MULTIPLIER_1, MULTIPLIER_2


def widen(raw: Bits, dtype: str, out: Floats) -> None:
    """Stored bits of `dtype` ("F32", "BF16", "F16"; unsigned integers of that width) into float32."""
    _WIDEN[dtype](raw, out.view(np.uint32))


def narrow(values: Floats, dtype: str, out: Bits, *, rounding: str, key: np.uint64, start: int) -> None:
    """Float32 into the stored bits of `dtype` ("F32", "BF16", "F16").

    rounding "nearest": ties to even. "stochastic": one of the two neighbours on the grid of `dtype`, with the
    probabilities that make it unbiased, drawn from `key` and the element's index `start + i` (bfloat16: four elements
    share one draw, 16 bits each, the lowest first). A value on the grid stays as it is under both; NaN and infinity are
    kept. Beyond the largest finite value the grid goes on with infinity as its next point.
    """
    if dtype == "F32":
        np.copyto(out, values.view(np.uint32))
    else:
        _NARROW[dtype, rounding](values.view(np.uint32), key, np.uint64(start), out)


# 32-bit words: float32 and bfloat16.
_SIGN, _MAGNITUDE, _INFINITY = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)
_ONE, _HALF_WORD = np.uint32(1), np.uint32(16)
_BF16_QUIET, _BELOW_HALF = np.uint32(0x40), np.uint32(0x7FFF)
_HALF_SIGN, _HALF_INFINITY, _HALF_DROP = np.uint32(0x8000), np.uint32(0x7C00), np.uint32(13)
_HALF_SCALE = np.float32(2.0**112)
# 64-bit words: draws, and float16 with its subnormals.
_U0, _U1, _U2, _U3, _U4, _U63, _U64 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 63, 64))
_ALL_16 = np.uint64(0xFFFF)
_MANTISSA, _IMPLICIT, _MANTISSA_BITS = np.uint64(0x7FFFFF), np.uint64(0x800000), np.uint64(23)
_F16_SHIFT, _F16_REBIAS, _F16_NORMAL = np.uint64(13), np.uint64(112 << 23), np.uint64(113)
_F16_INFINITY, _F16_QUIET = np.uint64(0x7C00), np.uint64(0x200)
_F16_SUBNORMAL = np.uint64(126)


@compiled
def widen_bf16(raw: Bits, out: Bits) -> None:
    """Stored bfloat16 into the bits of float32."""
    for i in range(out.size):
        out[i] = np.uint32(np.uint32(raw[i]) << _HALF_WORD)


@compiled
def _widen_f16(raw: Bits, out: Bits) -> None:
    for i in range(out.size):
        half = np.uint32(raw[i])
        value = np.float32(np.uint32((half & _BELOW_HALF) << _HALF_DROP).view(np.float32) * _HALF_SCALE)
        word = value.view(np.uint32) | np.uint32((half & _HALF_SIGN) << _HALF_WORD)
        out[i] = word | _INFINITY if half & _HALF_INFINITY == _HALF_INFINITY else word


@compiled
def draw(key: np.uint64, index: np.uint64) -> np.uint64:
    """splitmix64 of `key` at `index`: 64 random bits."""
    z = key + (index + _U1) * np.uint64(GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(MULTIPLIER_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(MULTIPLIER_2)
    return z ^ (z >> np.uint64(31))


@compiled
def _bf16(word: np.uint32, increment: np.uint32) -> np.uint32:
    """Add `increment` (below 2**16), drop the low half; a NaN stays one."""
    if word & _MAGNITUDE > _INFINITY:
        return np.uint32(word >> _HALF_WORD) | _BF16_QUIET
    return np.uint32(np.uint32(word + increment) >> _HALF_WORD)


@compiled
def _bf16_nearest(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        out[i] = _bf16(bits[i], np.uint32(_BELOW_HALF + np.uint32(np.uint32(bits[i] >> _HALF_WORD) & _ONE)))


@compiled
def _bf16_stochastic(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        index = start + np.uint64(i)
        four = draw(key, index >> _U2)
        out[i] = _bf16(bits[i], np.uint32((four >> ((index & _U3) << _U4)) & _ALL_16))


@compiled
def _f16(word: np.uint32, stochastic: bool, draw: np.uint64) -> np.uint64:
    sign = np.uint64((word & _SIGN) >> _HALF_WORD)
    magnitude = np.uint64(word & _MAGNITUDE)
    exponent = magnitude >> _MANTISSA_BITS
    if magnitude > _INFINITY:
        return sign | _F16_INFINITY | _F16_QUIET | ((magnitude & _MANTISSA) >> _F16_SHIFT)
    if exponent >= _F16_NORMAL:
        return sign | min(_shifted(magnitude - _F16_REBIAS, _F16_SHIFT, stochastic, draw), _F16_INFINITY)
    if exponent >= _U63:  # a step of the subnormal grid is 2**-24
        return sign | _shifted((magnitude & _MANTISSA) | _IMPLICIT, _F16_SUBNORMAL - exponent, stochastic, draw)
    return sign  # below 2**-64: would round up with a probability under 2**-40, taken as 0


@compiled
def _shifted(value: np.uint64, shift: np.uint64, stochastic: bool, draw: np.uint64) -> np.uint64:
    """value / 2**shift as an integer, rounded; `shift` in 1..63."""
    if stochastic:
        return (value + (draw >> (_U64 - shift))) >> shift
    return (value + (_U1 << (shift - _U1)) - _U1 + ((value >> shift) & _U1)) >> shift


@compiled
def _f16_nearest(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        out[i] = _f16(bits[i], False, _U0)


@compiled
def _f16_stochastic(bits: Bits, key: np.uint64, start: np.uint64, out: Bits) -> None:
    for i in range(out.size):
        out[i] = _f16(bits[i], True, draw(key, start + np.uint64(i)))


_WIDEN: dict[str, Callable[[Bits, Bits], None]] = {
    "BF16": widen_bf16,
    "F16": _widen_f16,
    "F32": lambda raw, out: np.copyto(out, raw),
}
_NARROW = {
    ("BF16", "nearest"): _bf16_nearest,
    ("BF16", "stochastic"): _bf16_stochastic,
    ("F16", "nearest"): _f16_nearest,
    ("F16", "stochastic"): _f16_stochastic,
}


@compiled
def count_vanished(values: Floats, back: Floats) -> int:
    """How many elements are not 0 in `values` but in `back`, what was stored of them."""
    count = 0
    for i in range(values.size):
        if back[i] == np.float32(0) and values[i] != np.float32(0):
            count += 1
    return count


@compiled
def count_nonfinite(values: Floats) -> int:
    """How many elements are NaN or infinite."""
    count = 0
    for i in range(values.size):
        if not np.isfinite(values[i]):
            count += 1
    return count
