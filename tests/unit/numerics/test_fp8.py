from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.numerics.fp8 import TABLES, dequantised, scale_blocks, widen_fp8

TORCH = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu}


@pytest.mark.parametrize("dtype", TORCH)
def test_all_256_codes_are_those_of_torch(dtype: str) -> None:
    expected = torch.arange(256, dtype=torch.uint8).view(TORCH[dtype]).float().numpy()
    found = TABLES[dtype]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(found)]))


@pytest.mark.parametrize(
    ("dtype", "code", "value"),
    [
        ("F8_E4M3", 0x00, 0.0),
        ("F8_E4M3", 0x01, 2**-9),  # the least subnormal: 2**-6 / 8
        ("F8_E4M3", 0x08, 2**-6),  # the least normal
        ("F8_E4M3", 0x38, 1.0),
        ("F8_E4M3", 0xB9, -1.125),
        ("F8_E4M3", 0x7E, 448.0),
        ("F8_E5M2", 0x01, 2**-16),
        ("F8_E5M2", 0x04, 2**-14),
        ("F8_E5M2", 0x3D, 1.25),
        ("F8_E5M2", 0x7B, 57344.0),
        ("F8_E5M2", 0xFC, -np.inf),
        ("F8_E8M0", 127, 1.0),
        ("F8_E8M0", 120, 2**-7),
    ],
)
def test_codes_by_hand(dtype: str, code: int, value: float) -> None:
    out = np.empty(1, np.float32)
    widen_fp8(np.array([code], np.uint8), dtype, out)
    assert out[0] == np.float32(value)


def test_codes_that_are_no_number() -> None:
    assert np.flatnonzero(np.isnan(TABLES["F8_E4M3"])).tolist() == [0x7F, 0xFF]
    assert np.flatnonzero(np.isnan(TABLES["F8_E5M2"])).tolist() == [0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]
    with pytest.raises(ValueError, match="read-only"):
        TABLES["F8_E4M3"][0] = 1


def test_blocks_by_hand() -> None:
    """A 3 x 5 matrix of ones in blocks of 2 x 2: the last row and the last column lie in blocks that are cut."""
    codes = np.full(15, 0x38, np.uint8)
    scales = np.array([[[1, 2, 3], [4, 5, 6]]], np.float32)
    found = dequantised(codes, "F8_E4M3", start=0, rows=3, columns=5, scales=scales, block=(2, 2))
    assert found.reshape(3, 5).tolist() == [[1, 1, 2, 2, 3], [1, 1, 2, 2, 3], [4, 4, 5, 5, 6]]
    part = dequantised(codes[:4], "F8_E4M3", start=8, rows=3, columns=5, scales=scales, block=(2, 2))
    assert part.tolist() == [2, 3, 4, 4]


def test_one_scale_for_all_and_one_for_each_row() -> None:
    codes = np.full(4, 0x40, np.uint8)  # 2.0
    whole = dequantised(
        codes, "F8_E4M3", start=0, rows=2, columns=2, scales=np.full((1, 1, 1), 3, np.float32), block=(2, 2)
    )
    assert whole.tolist() == [6] * 4
    rows = np.array([[[3], [5]]], np.float32)
    assert dequantised(codes, "F8_E4M3", start=0, rows=2, columns=2, scales=rows, block=(1, 2)).tolist() == [
        6,
        6,
        10,
        10,
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    st.data(),
)
def test_any_stretch_equals_the_whole(
    matrices: int, rows: int, columns: int, down: int, across: int, data: st.DataObject
) -> None:
    shape = (matrices, -(-rows // down), -(-columns // across))
    scales = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    expected = np.ones((matrices, rows, columns), np.float32)
    for m, i, j in np.ndindex(expected.shape):
        expected[m, i, j] = scales[m, i // down, j // across]
    start = data.draw(st.integers(0, expected.size - 1))
    count = data.draw(st.integers(0, expected.size - start))
    values = np.ones(count, np.float32)
    scale_blocks(values, start=start, rows=rows, columns=columns, scales=scales, block=(down, across))
    np.testing.assert_array_equal(values, expected.ravel()[start : start + count])
