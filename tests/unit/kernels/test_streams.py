"""Loops that read and write by themselves: the bytes of arrays, and a stop where a file does not give or take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from suture.kernels import fused
from suture.kernels.grams import gram_pairs
from suture.kernels.pivots import pivot_counts, sampled
from suture.kernels.sparse import as_masks, combined, sparse_norms, sparse_sum
from suture.kernels.streams import BLOCK, IN_MEMORY, Stream, in_memory
from suture.numerics.keys import random_key

SIZE = 2 * BLOCK + 5000
OFFSETS = (8, 100, 2)
RANKS = ((0x3C000000, BLOCK + 77), (0x3E000000, SIZE))
DRAWS = (random_key(1, "w", "draws"), 0.4)


@pytest.fixture(scope="module")
def raws() -> list[NDArray[np.uint16]]:
    generator = np.random.default_rng(0)
    return [(generator.standard_normal(SIZE).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16) for _ in "abc"]


@pytest.fixture
def files(raws: list[NDArray[np.uint16]], tmp_path: Path) -> Iterator[Stream]:
    """All three in files, at places of their own, and a file for the result."""
    inputs = []
    for number, (raw, offset) in enumerate(zip(raws, OFFSETS, strict=True)):
        (tmp_path / str(number)).write_bytes(bytes(offset) + raw.tobytes() + bytes(50))
        inputs.append(os.open(tmp_path / str(number), os.O_RDWR))
    target = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
    room = in_memory([np.empty(BLOCK, np.uint16) for _ in raws], np.empty(BLOCK, np.uint16))
    yield room._replace(files=tuple(inputs), offsets=OFFSETS, target=target, begin=12)
    for descriptor in (*inputs, target):
        os.close(descriptor)


def put_out(stream: Stream) -> NDArray[np.uint16]:
    return np.frombuffer(os.pread(stream.target, 2 * SIZE, stream.begin), np.uint16)


WHERE: dict[str, Any] = {"rounding": "stochastic", "key": np.uint64(5), "start": 1 << 20, "count": SIZE}


def summed(loop: str, stream: Stream, sums: NDArray[np.float64]) -> int:
    if loop == "pair":
        return fused.pair_sum(stream.ordered((2, 0)), 0.3, **WHERE, sums=sums)
    if loop == "scaled":
        return fused.scaled_pair_sum(stream.ordered((0, 1)), (1.2, 0.5), clinical_is_base=False, **WHERE, sums=sums)
    if loop == "triple":
        return fused.triple_sum(stream.ordered((1, 2, 0)), (0.3, 0.2), (0, 2), **WHERE, sums=sums)
    masks = as_masks([(RANKS, None), (None, DRAWS)], SIZE)
    how = combined([0.5, 0.4], [1.0, 2.5], 0.9, normalize=True, elect=True)
    return sparse_sum(stream, masks, how, (0, 1), **WHERE, sums=sums)


LOOPS = ["pair", "scaled", "triple", "sparse"]


@pytest.mark.parametrize("loop", LOOPS)
def test_files_and_arrays_give_the_same(loop: str, raws: list[NDArray[np.uint16]], files: Stream) -> None:
    out, expected, sums = np.empty(SIZE, np.uint16), np.zeros(3), np.zeros(3)
    assert summed(loop, in_memory(raws, out), expected) == SIZE
    assert summed(loop, files, sums) == SIZE
    assert np.array_equal(put_out(files), out)
    assert sums.tolist() == expected.tolist()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_file_may_feed_an_array(loop: str, raws: list[NDArray[np.uint16]], files: Stream) -> None:
    out, placed = np.empty(SIZE, np.uint16), np.empty(SIZE, np.uint16)
    summed(loop, in_memory(raws, out), np.zeros(3))
    assert summed(loop, files._replace(output=placed, target=IN_MEMORY), np.zeros(3)) == SIZE
    assert np.array_equal(placed, out)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_stops_before_the_block_that_a_file_does_not_give(loop: str, files: Stream) -> None:
    os.ftruncate(files.files[0], OFFSETS[0] + 2 * (2 * BLOCK + 10))
    sums = np.zeros(3)
    assert summed(loop, files, sums) == 2 * BLOCK
    assert os.fstat(files.target).st_size == files.begin + 4 * BLOCK
    assert sums[0] > 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_stops_before_the_block_that_a_file_does_not_take(loop: str, files: Stream, tmp_path: Path) -> None:
    (tmp_path / "locked").touch()
    locked, sums = os.open(tmp_path / "locked", os.O_RDONLY), np.zeros(3)
    assert summed(loop, files._replace(target=locked), sums) == 0
    os.close(locked)
    assert not sums.any()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_stops_before_the_block_with_a_value_that_is_not_finite(loop: str, files: Stream) -> None:
    os.pwrite(files.files[0], np.uint16(0x7FC0).tobytes(), OFFSETS[0] + 2 * (BLOCK + 3))
    sums = np.zeros(3)
    assert summed(loop, files, sums) == BLOCK
    assert np.isfinite(sums).all()


MASKS = as_masks([(RANKS, None), (None, DRAWS)], SIZE)
FIRST, ENTRIES = np.array([[0x3E000000], [0x3F000000]], np.uint32), np.array([[40], [3]])
PASSES: dict[str, Any] = {
    "grams": lambda stream: gram_pairs(stream.ordered((0, 2)), SIZE),
    "norms": lambda stream: sparse_norms(stream, MASKS, 1 << 20, SIZE),
    "pivots": lambda stream: pivot_counts(stream, FIRST, ENTRIES, SIZE),
    "sample": lambda stream: sampled(stream, [0, 70, SIZE - 1024], 1024),
}


@pytest.mark.parametrize("which", PASSES)
def test_passes_give_the_same_over_files_and_arrays(which: str, raws: list[NDArray[np.uint16]], files: Stream) -> None:
    expected, found = PASSES[which](in_memory(raws)), PASSES[which](files)
    parts = zip(expected, found, strict=True) if isinstance(expected, (list, tuple)) else [(expected, found)]
    assert all(np.array_equal(one, other) for one, other in parts)
    assert np.any(expected[0])


@pytest.mark.parametrize("which", PASSES)
def test_passes_give_nothing_where_a_file_does_not_give_all(which: str, files: Stream) -> None:
    os.ftruncate(files.files[0], 4 * BLOCK)
    assert PASSES[which](files) is None


def test_a_sample_is_the_stretches_one_after_the_other(raws: list[NDArray[np.uint16]]) -> None:
    found = sampled(in_memory(raws), [5, 100, 7], 3)
    assert found is not None
    for sample, raw in zip(found, raws, strict=True):
        assert sample.tolist() == [*raw[5:8], *raw[100:103], *raw[7:10]]
