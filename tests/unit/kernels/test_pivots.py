from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from suture.kernels.pivots import GRID, LISTED, Counted, magnitudes, pivot_counts
from suture.kernels.streams import in_memory
from suture.numerics.anchor import SEGMENT


def stored(*values: float) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    """bfloat16 words of values that it holds exactly."""
    words = np.array(values, np.float32).view(np.uint32)
    assert (words & 0xFFFF == 0).all()
    return (words >> 16).astype(np.uint16)


def bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def counts(raws: Sequence[NDArray[np.uint16]], first: NDArray[np.uint32], entries: NDArray[np.int64]) -> Counted:
    found = pivot_counts(in_memory(raws), first, entries, raws[0].size)
    assert found is not None
    return found


def test_magnitudes_by_hand() -> None:
    found = magnitudes(stored(1.5, -1.5, 1.0, 2.0), stored(1.0, 1.0, 1.0, 2.0**-20))
    assert found.tolist() == [bits(0.5), bits(2.5), 0, bits(2.0 - 2.0**-20)]


@pytest.mark.parametrize("entries", [3, 9])  # counted one by one, and gathered
def test_counts_by_hand(entries: int) -> None:
    first = bits(1.0)
    step = 2.0**-10  # one grid point from 1 on
    values = [1.0, -1.0, 1 + 2**-7, 1 + 2**-7, 1.75, 0.5, 1 + 2 * 2**-7]
    base, x = stored(*[0.0] * 8), stored(*values, 0.0)
    got = counts([base, x], np.array([[first]], np.uint32), np.array([[entries]]))
    on_grid = [(1.0, 2), (1 + 8 * step, 2)]  # 1 + 2**-7 lies eight grid points further
    expected = [0] * entries
    for value, count in on_grid:
        at = (bits(value) - first) >> GRID
        if at < entries:
            expected[at] += count
    assert got.table.tolist() == [[[expected]]]
    inside = sum(expected)
    assert got.above.tolist() == [[[6 - inside]]]  # all but 0.5 and 0 are at least 1
    assert got.listed.shape == (0, 4)
    assert not got.full


def test_what_lies_off_the_grid_is_listed_with_its_segment_until_there_is_no_room() -> None:
    elements = SEGMENT + 10
    base, x = np.zeros(elements, np.uint16), np.zeros(elements, np.uint16)
    places = [3, SEGMENT - 1, SEGMENT, SEGMENT + 9]
    x[places] = stored(1.0)[0]
    base[places] = stored(2.0**-20)[0]
    wanted = bits(1.0 - 2.0**-20)
    first = np.array([[0, wanted >> GRID << GRID]], np.uint32)
    got = counts([base, x], first, np.array([[0, 5]]))
    assert got.listed.tolist() == [[segment, 0, 1, wanted] for segment in (0, 0, 1, 1)]
    assert got.table.sum() == 0
    x[: LISTED + 1], base[: LISTED + 1] = stored(1.0)[0], stored(2.0**-20)[0]
    assert counts([base, x], first, np.array([[0, 5]])).full


def test_counts_of_random_models_are_those_of_numpy() -> None:
    generator = np.random.default_rng(0)
    elements = 2 * SEGMENT + 1234
    floats = [generator.standard_normal(elements).astype(np.float32) * scale for scale in (1.0, 1.0, 0.9)]
    raws = [(values.view(np.uint32) >> 16).astype(np.uint16) for values in floats]
    first = np.array([[bits(0.5), bits(1.0)], [bits(0.25), 0]], np.uint32) >> GRID << GRID
    entries = np.array([[100, 4], [1, 0]])
    got = counts(raws, first, entries)
    for model in range(2):
        found = magnitudes(raws[model + 1], raws[0]).astype(np.int64)
        for which in range(2):
            low, count = int(first[model, which]), int(entries[model, which])
            for segment in range(3):
                part = found[segment * SEGMENT : (segment + 1) * SEGMENT]
                inside = part[(part >= low) & (part < low + (count << GRID))]
                on = inside[inside & ((1 << GRID) - 1) == 0]
                assert got.above[segment, model, which] == ((part >= low + (count << GRID)).sum() if count else 0)
                table = np.bincount((on - low) >> GRID, minlength=count)[:count] if count else []
                assert got.table[segment, model, which, :count].tolist() == list(table)
                mine = got.listed[(got.listed[:, :3] == [segment, model, which]).all(1), 3]
                assert mine.tolist() == inside[inside & ((1 << GRID) - 1) != 0].tolist()
