"""Eight-bit floats to float32, exactly: a table of 256 values for each format, and scales over blocks of a matrix.

Formats: E4M3 ("fn": no infinity, NaN only where all bits below the sign are set, largest 448) and E5M2 (as IEEE 754:
infinities, largest 57344) of Micikevicius et al., "FP8 formats for deep learning", arXiv 2209.05433, table 1; E8M0, a
power of two, of the OCP Microscaling Formats specification 1.0, section 5.4.1, in which some models store scales.
NumPy alone; the reading of checkpoints calls it on blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]


def _table(exponent_bits: int, mantissa_bits: int, bias: int) -> Floats:
    """Return the value of each code as if all were finite: sign, exponent, mantissa, with subnormals."""
    codes = np.arange(256)
    exponent = codes >> mantissa_bits & (1 << exponent_bits) - 1
    fraction = (codes & (1 << mantissa_bits) - 1) / (1 << mantissa_bits)
    significand = np.where(exponent > 0, 1 + fraction, fraction)
    magnitude = np.ldexp(significand, np.maximum(exponent, 1) - bias)
    table: Floats = np.copysign(magnitude, np.where(codes & 0x80, -1.0, 1.0)).astype(np.float32)
    return table


def _e4m3() -> Floats:
    table = _table(4, 3, 7)
    table[[0x7F, 0xFF]] = np.nan
    return table


def _e5m2() -> Floats:
    table = _table(5, 2, 15)
    table[[0x7C, 0xFC]] = np.inf, -np.inf
    table[[0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]] = np.nan
    return table


def _e8m0() -> Floats:
    table = np.ldexp(1.0, np.arange(256) - 127)
    table[0xFF] = np.nan
    return table.astype(np.float32)


def _read_only(table: Floats) -> Floats:
    table.flags.writeable = False
    return table


TABLES: Mapping[str, Floats] = MappingProxyType(
    {"F8_E4M3": _read_only(_e4m3()), "F8_E5M2": _read_only(_e5m2()), "F8_E8M0": _read_only(_e8m0())}
)
"""float32 value of each of the 256 codes, by the dtype's name in safetensors."""


def widen_fp8(codes: Codes, dtype: str, out: Floats) -> None:
    """Put the values of `codes` (uint8, any shape) into `out` (float32, same shape). Exact."""
    np.take(TABLES[dtype], codes, out=out)


def scale_blocks(
    values: Floats, *, start: int, rows: int, columns: int, scales: Floats, block: tuple[int, int]
) -> None:
    """Multiply a stretch of a matrix, in place, by the scale of the block in which each element lies.

    values: contiguous elements from index `start` on, row by row, of a matrix or of a stack of matrices of `rows` x
    `columns` each. scales: float32 of shape (matrices, ceil(rows / block[0]), ceil(columns / block[1])); block is the
    extent of a block in rows and columns, and blocks at the lower and right border may be cut. One float32 product an
    element: w = q s, as DeepSeek-V3 stores it (arXiv 2412.19437, section 3.3.2; its `weight_scale_inv` is the factor).
    """
    down, across = block
    done = 0
    while done < len(values):
        row, column = divmod(start + done, columns)
        matrix, line = divmod(row, rows)
        factors = scales[matrix, line // down]
        if column == 0 and (whole := min((len(values) - done) // columns, down - line % down, rows - line)) > 0:
            # Whole rows below one another share their scales.
            part = values[done : done + whole * columns].reshape(whole, columns)
            part *= np.repeat(factors, across)[:columns]
            done += whole * columns
        else:
            end = min(columns, column + len(values) - done)
            part = values[done : done + end - column]
            part *= np.repeat(factors[column // across :], across)[column % across :][: end - column]
            done += end - column


def dequantised(
    codes: Codes, dtype: str, *, start: int, rows: int, columns: int, scales: Floats, block: tuple[int, int]
) -> Floats:
    """Return float32 values of fp8 `codes`, a stretch of a matrix from element `start` on; see `scale_blocks`.

    A scale for a whole tensor is a block of (rows, columns); one for each output channel, a block of (1, columns).
    """
    values = np.empty(len(codes), np.float32)
    widen_fp8(codes, dtype, values)
    scale_blocks(values, start=start, rows=rows, columns=columns, scales=scales, block=block)
    return values
