from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from suture import kernels
from suture.numerics.ranks import rank_probabilities

Floats = NDArray[np.float32]
KEY = kernels.random_key(0, "tensor", "rounding")


def splitmix(index: int) -> int:
    z = (int(KEY) + (index + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def uniform(index: int) -> float:
    """The low half of a word for an even index, the high half for the odd one after it."""
    return (splitmix(index // 2) >> 32 * (index % 2)) % 2**32 / 2**32


def thinned(count: int, start: int, density: float) -> list[float]:
    out = np.empty(count, np.float32)
    kernels.thinned(np.ones(count, np.float32), np.zeros(count, np.float32), KEY, start, density, out)
    return list(out)


@pytest.mark.parametrize("start", [0, 1, 100, 101, 2**33 + 1])
def test_thinned_keeps_what_splitmix_draws(start: int) -> None:
    assert thinned(3001, start, 0.3) == [float(uniform(start + i) < 0.3) for i in range(3001)]
    assert thinned(1, start, 0.5) == [float(uniform(start) < 0.5)]


def test_density_1_keeps_all() -> None:
    assert all(thinned(3001, 0, 1.0))


def test_probabilities_rise_evenly_with_the_rank() -> None:
    assert rank_probabilities(5, 0.5, 0.2) == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])
    assert rank_probabilities(3, 0.9, 0.2).tolist() == pytest.approx([0.7, 0.9, 1.0])
    assert rank_probabilities(1, 0.5, 0.2).tolist() == [0.5]


@pytest.mark.parametrize("divided", [False, True])
def test_thinned_by_rank_by_hand(divided: bool) -> None:
    x = np.tile(np.array([3, -1, 2, 4], np.float32), 500)  # ranks 2, 0, 1, 3
    probability = [0.3 + 0.4 * 2 / 3, 0.3, 0.3 + 0.4 / 3, 0.7]
    out = np.empty_like(x)
    kernels.thinned_by_rank(x, np.zeros_like(x), KEY, 8, 4, 0.5, 0.2, divided, out)
    kept = [uniform(8 + i) < probability[i % 4] for i in range(x.size)]
    factor = [1 / probability[i % 4] if divided else 1 for i in range(x.size)]
    np.testing.assert_allclose(out, x * kept * factor, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 8, 13, 800])
def test_masks_are_packed_lowest_bit_first_and_come_back(size: int) -> None:
    generator = np.random.default_rng(size)
    base, x = generator.standard_normal((2, size)).astype(np.float32)
    kept = generator.random(size) < 0.5
    row, packed = np.where(kept, x, base), np.empty(-(-size // 8), np.uint8)
    kernels.pack_kept(row, base, packed)
    assert packed.tolist() == np.packbits(kept, bitorder="little").tolist()
    again = np.empty_like(row)
    kernels.unpack_kept(packed, x, base, again)
    assert again.tolist() == row.tolist()
