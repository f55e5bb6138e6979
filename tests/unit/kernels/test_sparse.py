from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from suture import kernels
from suture.kernels import sparse
from suture.kernels.streams import in_memory
from suture.methods.task_arithmetic import over_base
from suture.numerics.anchor import SEGMENT
from suture.numerics.keys import random_key

SIZE = 2 * 2048 + 512 + 77
START = 1 << 20
KEYS = [random_key(0, "w", i) for i in range(3)]
Floats = NDArray[np.float32]


def stored(models: int, seed: int = 5) -> tuple[list[NDArray[np.uint16]], list[Floats]]:
    """A base and models near it, some elements equal to its own: as stored and as fp32."""
    generator = np.random.default_rng(seed)
    base = generator.standard_normal(SIZE)
    raws, wide = [], []
    for number in range(models + 1):
        delta = 0.02 * generator.standard_normal(SIZE) * (generator.random(SIZE) < 0.7) if number else 0.0
        raw, values = np.empty(SIZE, np.uint16), np.empty(SIZE, np.float32)
        kernels.narrow(np.float32(base + delta), "BF16", raw, rounding="nearest", key=np.uint64(0), start=0)
        kernels.widen(raw, "BF16", values)
        raws.append(raw)
        wide.append(values)
    return raws, wide


def given(kind: str, wide: Sequence[Floats]) -> list[Any]:
    """Masks of every model: bounds that are cut in the middle of the block, draws, or nothing."""
    middle = [int(np.median(np.abs(x - wide[0])).view(np.uint32)) for x in wide[1:]]
    if kind == "ranks":
        return [(((bits, 700 + 900 * i), (bits + (1 << 23), 3000 - 5 * i)), None) for i, bits in enumerate(middle)]
    if kind == "draws":
        return [(None, (key, 0.3 + 0.2 * i)) for i, key in enumerate(KEYS[: len(middle)])]
    return [(None, None) for _ in middle]


def kept(masks: Sequence[Any], wide: Sequence[Floats]) -> Floats:
    rows = np.empty((len(masks), SIZE), np.float32)
    for (ranks, draws), x, row in zip(masks, wide[1:], rows, strict=True):
        if ranks:
            kernels.kept_by_rank(x, wide[0], ranks, row)
        elif draws:
            kernels.thinned(x, wide[0], draws[0], START, draws[1], row)
        else:
            row[:] = x
    return rows


@pytest.mark.parametrize("rounding", ["stochastic", "nearest"])
@pytest.mark.parametrize("kind", ["ranks", "draws", "nothing"])
@pytest.mark.parametrize("models", [1, 2, 3])
@pytest.mark.parametrize("elect", [True, False])
def test_the_loop_has_the_bits_and_sums_of_the_single_steps(rounding: str, kind: str, models: int, elect: bool) -> None:
    raws, wide = stored(models)
    masks = given(kind, wide)
    weight, factor, lambda_, normalize = [0.7, 0.9, -0.2][:models], [1.0, 1.3, 2.0][:models], 0.8, models != 2
    single, expected, back = np.empty(SIZE, np.float32), np.empty(SIZE, np.uint16), np.empty(SIZE, np.float32)
    rows = kept(masks, wide)
    if elect:
        kernels.elected(wide[0], rows, weight, factor, lambda_, normalize, single)
    else:
        terms = [w * f for w, f in zip(weight, factor, strict=True)]
        coefficients = over_base(terms, lambda_, fsum(weight) if normalize else 1.0)
        kernels.weighted_sum([wide[0], *rows], coefficients, single)
    told, general, clinical = np.zeros(3), 0, models
    common: dict[str, Any] = {"rounding": rounding, "key": np.uint64(9), "start": START}
    kernels.finish(single, wide[general], wide[clinical], "BF16", **common, out=expected, back=back, sums=told)
    out, sums = np.empty(SIZE, np.uint16), np.zeros(3)
    how = sparse.combined(weight, factor, lambda_, normalize=normalize, elect=elect)
    stream, roles = in_memory(raws, out), (general, clinical)
    sparse.sparse_sum(stream, sparse.as_masks(masks, SIZE), how, roles, **common, count=SIZE, sums=sums)
    assert np.array_equal(out, expected)
    assert sums.tolist() == told.tolist()


@pytest.mark.parametrize("weight", [[1.0, 0.0], [0.0, 1.0]])
def test_a_model_alone_with_coefficient_1_comes_through_with_its_own_bits(weight: list[float]) -> None:
    raws, _ = stored(2)
    out, sums = np.empty(SIZE, np.uint16), np.zeros(3)
    for elect in (True, False):
        how = sparse.combined(weight, [1.0, 1.0], 1.0, normalize=False, elect=elect)
        everything = sparse.as_masks([(None, None)] * 2, SIZE)
        whole: dict[str, Any] = {"rounding": "stochastic", "key": np.uint64(1), "start": 0, "count": SIZE}
        sparse.sparse_sum(in_memory(raws, out), everything, how, (0, 1), **whole, sums=sums)
        assert np.array_equal(out, raws[1 + weight.index(1.0)])


@pytest.mark.parametrize("kind", ["ranks", "draws", "nothing"])
def test_norms_have_the_bits_of_the_single_steps(kind: str) -> None:
    raws, wide = stored(3)
    masks = given(kind, wide)
    rows = kept(masks, wide)
    expected = [kernels.l1_distances(x, row, wide[0]) for x, row in zip(wide[1:], rows, strict=True)]
    found = sparse.sparse_norms(in_memory(raws), sparse.as_masks(masks, SIZE), START, SIZE)
    assert found is not None
    assert found[0].T.tolist() == [list(pair) for pair in expected]


@pytest.mark.parametrize("model", [0, 1, 2, 3])
@pytest.mark.parametrize("word", [0x7F80, 0xFF80, 0x7FC0, 0xFFFF])
def test_the_loop_stops_before_a_value_that_is_not_finite_wherever_it_stands(model: int, word: int) -> None:
    raws, _ = stored(3)
    raws[model][4099] = word
    nothing = [(((2**31, SIZE), (2**31, SIZE)), None)] * 3  # keeps nothing, so only the base is in the result
    how = sparse.combined([0.1] * 3, [1.0] * 3, 1.0, normalize=False, elect=True)
    done = sparse.sparse_sum(
        in_memory(raws, np.empty(SIZE, np.uint16)), sparse.as_masks(nothing, SIZE), how, (0, 3),
        rounding="nearest", key=np.uint64(0), start=0, count=SIZE, sums=np.zeros(3),
    )  # fmt: skip
    assert done == 0


def test_norms_of_several_segments_are_those_of_each() -> None:
    generator = np.random.default_rng(0)
    elements = 2 * SEGMENT + 300
    raws = [generator.integers(0x3E00, 0x3F00, elements).astype(np.uint16) for _ in range(2)]
    masks = [(None, (KEYS[0], 0.4))]
    together = sparse.sparse_norms(in_memory(raws), sparse.as_masks(masks, elements), 7 * SEGMENT, elements)
    assert together is not None
    for segment in range(3):
        part = [raw[segment * SEGMENT : (segment + 1) * SEGMENT] for raw in raws]
        start = (7 + segment) * SEGMENT
        size = part[0].size
        alone = sparse.sparse_norms(in_memory(part), sparse.as_masks(masks, size), start, size)
        assert alone is not None
        assert together[segment].tolist() == alone[0].tolist()
