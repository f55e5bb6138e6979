from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from suture import kernels
from suture.kernels.ranks import row_ranks

Floats = NDArray[np.float32]
MAGNITUDES = arrays(np.float32, st.integers(1, 70), elements=st.sampled_from([0, -1, 1, 2, -2.5, 1e-41, 3e38, 1.001]))
NOTHING = (2**31, 0)


def floats(*values: float) -> Floats:
    return np.array(values, np.float32)


def bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def test_high_and_low_counts_by_hand() -> None:
    x, y = floats(1, -1, 2, 1.001, 0), floats(0, 0, 0, 0, 0)  # the bits of 1 are 0x3F800000, of 1.001 0x3F8020C5
    high = kernels.high_counts(x, y)
    assert {int(at): int(high[at]) for at in np.flatnonzero(high)} == {0x3F80: 3, 0x4000: 1, 0: 1}
    low = kernels.low_counts(x, y, 0x3F80)
    assert {int(at): int(low[at]) for at in np.flatnonzero(low)} == {0: 2, 0x20C5: 1}
    assert kernels.coarse_counts(x, y, 0x3F80).tolist() == [2, 0, 0, 0]
    assert kernels.coarse_counts(floats(1 + 2**-8, 1 + 2**-9, 1 + 3 * 2**-9), floats(0, 0, 0), 0x3F80).tolist() == [
        0,
        1,
        1,
        1,
    ]


def test_counts_are_of_differences() -> None:
    x, y = floats(3, -4, 5), floats(1, -2, 9)  # 2, 2, 4
    assert kernels.high_counts(x, y)[[0x4000, 0x4080]].tolist() == [2, 1]
    assert kernels.equal_count(x, y, bits(2)) == 2


def test_the_place_of_the_last_equal_one_inside() -> None:
    x, y = floats(1, 2, 1, 1), floats(0, 0, 0, 0)
    assert [kernels.place_of(x, y, bits(1), count) for count in (0, 1, 2, 3, 4)] == [0, 1, 3, 4, 4]


def test_kept_by_rank_by_hand() -> None:
    x, base, out = floats(1, -2, 2, 3, -3, 0.5), floats(0, 0, 0, 0, 0, 0), np.empty(6, np.float32)
    kernels.kept_by_rank(x, base, [(bits(2), 2), NOTHING], out)  # above 2, and 2 itself before place 2
    assert out.tolist() == [0, -2, 0, 3, -3, 0]
    kernels.kept_by_rank(x, base, [(bits(1), 6), (bits(3), 4)], out)  # 1 and above, but for 3 and above before place 4
    assert out.tolist() == [1, -2, 2, 0, -3, 0]


@given(MAGNITUDES, st.integers(1, 9))
def test_ranks_are_those_of_a_stable_sort(x: Floats, columns: int) -> None:
    x = np.resize(x, columns * max(1, x.size // columns))
    expected = [np.argsort(np.argsort(np.abs(row), kind="stable"), kind="stable") for row in x.reshape(-1, columns)]
    assert (row_ranks(x, np.zeros_like(x), columns).reshape(-1, columns) == expected).all()


@given(MAGNITUDES)
def test_histograms_find_every_magnitude(x: Floats) -> None:
    zeros = np.zeros_like(x)
    words = np.abs(x).view(np.uint32)
    assert (kernels.high_counts(x, zeros) == np.bincount(words >> 16, minlength=2**15)).all()
    high = int(words[0] >> 16)
    within = words[words >> 16 == high] & 0xFFFF
    assert (kernels.low_counts(x, zeros, high) == np.bincount(within, minlength=2**16)).all()
