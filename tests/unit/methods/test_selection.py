from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from suture import kernels
from suture.methods.derived import conclusions
from suture.methods.masks import stretch_of
from suture.methods.registry import get_method
from suture.methods.selection import BEYOND, Found, bounds, selection
from suture.methods.shapes import Blocks, ElementwiseMethod

SEGMENT = 8
STEPS: Any = SimpleNamespace(**{name: getattr(kernels, name) for name in kernels.__all__ if name != "SEGMENT"})
STEPS.SEGMENT = SEGMENT
COARSE = st.sampled_from([0.0, -1.0, 1.0, 1.25, -1.5, 2.0])
FINE = st.sampled_from([0.0, 0.1, -0.1, 0.3, -0.3, 1e-42])


def kept(x: NDArray[np.float32], counts: list[int]) -> tuple[list[NDArray[np.bool_]], dict[str, Any]]:
    """For each bound which elements lie inside it, found with segments of eight elements, block by block."""
    zero = np.zeros_like(x)

    def blocks(start: int, size: int) -> Blocks:
        stretch = slice(start, start + size)
        return Blocks([zero[stretch], x[stretch]], start, elements=x.size)

    method = ElementwiseMethod(
        get_method("ties").info,
        lambda: tuple(
            selection(lambda steps, b: [(b.inputs[1], b.inputs[0])], lambda elements, found: np.array([counts]))
        ),
        lambda: None,
    )
    found = conclusions(method, lambda: (blocks(i, SEGMENT) for i in range(0, x.size, SEGMENT)), x.size, {}, STEPS)
    inside = [np.zeros(x.size, bool) for _ in counts]
    for start in range(0, x.size, 2 * SEGMENT):
        part = blocks(start, 2 * SEGMENT)
        given_x, base = part.inputs[1], part.inputs[0]
        [limits] = bounds(found, stretch_of(STEPS, part, [(given_x, base)]))
        for mask, (bits, cut) in zip(inside, limits, strict=True):
            words = np.abs(given_x).view(np.uint32)
            mask[start : start + given_x.size] = (words > bits) | ((words == bits) & (np.arange(words.size) < cut))
    return inside, found


@given(st.one_of(arrays(np.float32, st.integers(1, 60), elements=e) for e in (COARSE, FINE)), st.data())
def test_bounds_hold_the_first_in_stable_order(x: NDArray[np.float32], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, x.size), min_size=1, max_size=3))
    order = np.argsort(-np.abs(x), kind="stable")
    for mask, count in zip(kept(x, counts)[0], counts, strict=True):
        assert (np.flatnonzero(mask) == np.sort(order[:count])).all()


def test_places_are_counted_in_a_pass_of_their_own_only_where_they_must_be() -> None:
    coarse, fine = np.tile(np.float32([1.0, 2.0]), 20), np.tile(np.float32([0.1, 0.2]), 20)
    for x, count, finer in ((coarse, 30, False), (fine, 30, True), (fine, 20, False)):
        _, found = kept(x, [count])
        rank = found["rank"]
        assert rank.quota.tolist() == [[10 if count == 30 else 20]]
        assert bool(((rank.quota < rank.equal) & (rank.bits & 0x3FFF != 0)).any()) is finer
        if count == 30:
            assert found["before"][-1].tolist() == [[20]]


def test_a_bound_of_none_holds_nothing() -> None:
    [mask], found = kept(np.ones(20, np.float32), [0])
    assert not mask.any()
    assert found["rank"].bits.tolist() == [[BEYOND]]


def test_found_gives_the_magnitudes() -> None:
    bits = np.array([[0x3F800000, 0x40000000]])
    assert Found(bits, bits, bits).value().tolist() == [[1, 2]]
