from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from suture.kernels.pivots import GRID, magnitudes, pivot_counts
from suture.kernels.streams import in_memory
from suture.merge.pivots import (
    CHUNK,
    CHUNKS,
    MOST_ENTRIES,
    Pivots,
    choose_pivots,
    sample_starts,
    settle,
    settle_by_sorting,
)
from suture.methods.selection import BEYOND
from suture.numerics.anchor import SEGMENT

ELEMENTS = 3 * SEGMENT + 500


def models(kind: str, elements: int = ELEMENTS) -> list[NDArray[np.uint16]]:
    """A base and two models near it. sparse: half of their elements are the base's own."""
    generator = np.random.default_rng(1)
    base = generator.standard_normal(elements).astype(np.float32)
    noise = generator.standard_normal((2, elements)).astype(np.float32) * np.float32(0.1)
    if kind == "sparse":
        noise *= generator.random((2, elements)) < 0.5
    rows = np.linspace(1, 4, elements, dtype=np.float32) if kind == "rows" else np.float32(1)
    return [(v.view(np.uint32) >> 16).astype(np.uint16) for v in (base, *(base + rows * n for n in noise))]


def sampled(raws: list[NDArray[np.uint16]]) -> list[NDArray[Any]]:
    starts = sample_starts(raws[0].size)
    return [np.concatenate([raw[start : start + CHUNK] for start in starts]) for raw in raws]


def by_sorting(raws: list[NDArray[np.uint16]], model: int, wanted: int) -> tuple[int, int, int, list[int]]:
    found = magnitudes(raws[1 + model], raws[0]).astype(np.int64)
    value = int(np.sort(found)[::-1][wanted - 1])
    equal = found == value
    before = [int(equal[: segment * SEGMENT].sum()) for segment in range(-(-found.size // SEGMENT) + 1)]
    return value, wanted - int((found > value).sum()), int(equal.sum()), before


def counted(raws: list[NDArray[np.uint16]], pivots: Pivots) -> list[Any]:
    """Two segments at a time."""
    return [
        pivot_counts(in_memory(part), pivots.first, pivots.entries, part[0].size)
        for start in range(0, raws[0].size, 2 * SEGMENT)
        for part in [[raw[start : start + 2 * SEGMENT] for raw in raws]]
    ]


def test_samples_lie_in_the_tensor_from_end_to_end() -> None:
    starts = sample_starts(1 << 21)
    assert len(starts) == CHUNKS
    assert starts[0] == 0
    assert starts[-1] == (1 << 21) - CHUNK


@pytest.mark.parametrize("kind", ["plain", "rows", "sparse"])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_a_sample_leads_to_what_sorting_finds(kind: str, share: float) -> None:
    raws = models(kind)
    wanted = np.array([[int(share * ELEMENTS), 0], [int(0.3 * ELEMENTS), int(0.01 * ELEMENTS)]])
    pivots = choose_pivots(sampled(raws), wanted, ELEMENTS)
    if pivots is None:  # where the wanted one lies between zeros and the least change, a range has no end
        assert (kind, share) == ("sparse", 0.5)
        return
    assert pivots.entries.max() <= MOST_ENTRIES
    result = settle(pivots, counted(raws, pivots))
    assert result is not None
    found, before = result
    for model, which in ((0, 0), (1, 0), (1, 1)):
        value, quota, equal, places = by_sorting(raws, model, int(wanted[model, which]))
        assert (found.bits[model, which], found.quota[model, which], found.equal[model, which]) == (value, quota, equal)
        assert before[:, model, which].tolist() == places
    assert (found.bits[0, 1], found.quota[0, 1], found.equal[0, 1]) == (BEYOND, 0, 0)


@pytest.mark.parametrize("kind", ["plain", "sparse"])
@pytest.mark.parametrize("share", [0.001, 0.5, 1.0])
def test_a_small_tensor_is_sorted(kind: str, share: float) -> None:
    raws = models(kind, 5000)
    wanted = np.array([[int(share * 5000), 0], [1, 5000]])
    found, before = settle_by_sorting(raws, wanted)
    for model, which in ((0, 0), (1, 0), (1, 1)):
        value, quota, equal, places = by_sorting(raws, model, int(wanted[model, which]))
        assert (found.bits[model, which], found.quota[model, which], found.equal[model, which]) == (value, quota, equal)
        assert before[:, model, which].tolist() == places
    assert (found.bits[0, 1], found.quota[0, 1], found.equal[0, 1]) == (BEYOND, 0, 0)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(["plain", "sparse"]))
def test_any_range_gives_the_right_element_or_none(entries: int, seed: int, kind: str) -> None:
    raws = models(kind, SEGMENT + 100)
    generator = np.random.default_rng(seed)
    wanted = np.array([[int(generator.integers(1, raws[0].size + 1))], [0]])
    near = by_sorting(raws, 0, int(wanted[0, 0]))[0] + int(generator.integers(-entries << GRID, entries << GRID))
    first = np.array([[max(near, 0) >> GRID << GRID], [0]], np.uint32)
    pivots = Pivots(wanted, first, np.array([[entries], [0]]))
    result = settle(pivots, counted(raws, pivots))
    value, quota, equal, places = by_sorting(raws, 0, int(wanted[0, 0]))
    inside = int(first[0, 0]) <= value < int(first[0, 0]) + (entries << GRID)
    assert (result is not None) == inside
    if result is not None:
        assert (result[0].bits[0, 0], result[0].quota[0, 0], result[0].equal[0, 0]) == (value, quota, equal)
        assert result[1][:, 0, 0].tolist() == places
