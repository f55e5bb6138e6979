"""Masked task vectors from stored bits: their sum or election, rounded, stored and measured, and their L1 norms.

Works on a few hundred elements at a time, so that nothing between the stored inputs and the stored output leaves the
first-level cache. The arithmetic is that of the single steps (select, random, elect, span, then fused), bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import LANES, TILE, Bits, Floats, Sums, compiled
from suture.kernels.elect import elect_rows, election, singles
from suture.kernels.elementwise import add_l1
from suture.kernels.random import choose, drawn_halves
from suture.kernels.select import keep_between
from suture.kernels.span import added, with_term
from suture.kernels.stored import widen_bf16
from suture.kernels.streams import BLOCK, Stream, accepted, filled, place_in, room_for
from suture.kernels.tile import draw_tile, fold_products, measure_part, round_tile
from suture.numerics.anchor import anchored
from suture.numerics.keys import keep_threshold

CHUNK = 512
"""Elements that all steps are made for before the next ones: a quarter of a tile."""

_INFINITY, _MAGNITUDE = np.uint16(0x7F80), np.uint16(0x7FFF)
_ALL = 2**31
_LOW = np.uint64(0xFFFFFFFF)

Ranks = Sequence[tuple[int, int]]
"""Two bounds (bits, cut) as `kept_by_rank` takes them."""


@dataclass(frozen=True, slots=True)
class Masks:
    """What is kept of each model, as arrays for the loops.

    limits: (models, 2, 2) int64, the bounds of ranks. trimmed: whether a model has any. keys, thresholds: of the draws;
    a threshold of 2**32 keeps all.
    """

    limits: NDArray[np.int64]
    trimmed: NDArray[np.bool_]
    keys: NDArray[np.uint64]
    thresholds: NDArray[np.uint64]

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """As the loops take them."""
        return self.limits, self.trimmed, self.keys, self.thresholds


def as_masks(given: Sequence[tuple[Ranks | None, tuple[np.uint64, float] | None]], size: int) -> Masks:
    """Masks of a block of `size` elements: for each model bounds of ranks, or (key, density) of draws, or neither."""
    everything = ((0, size), (_ALL, size))
    return Masks(
        np.array([ranks or everything for ranks, _ in given], np.int64),
        np.array([ranks is not None for ranks, _ in given], np.bool_),
        np.array([draws[0] if draws else 0 for _, draws in given], np.uint64),
        np.array([keep_threshold(draws[1]) if draws else 1 << 32 for _, draws in given], np.uint64),
    )


@dataclass(frozen=True, slots=True)
class Combined:
    """How kept task vectors are put together, as arrays for the loops; see `combined`."""

    elect: bool
    scaled: tuple[np.float32, ...]
    share: tuple[np.float32, ...]
    vote: tuple[np.float32, ...]
    lambda_: np.float32
    normalize: bool
    anchor: int
    scale: np.float32


def combined(
    weight: Sequence[float], factor: Sequence[float], lambda_: float, *, normalize: bool, elect: bool
) -> Combined:
    """Election as in `elected`; or b + lambda sum_i w_i f_i d_i (over sum w_i where normalised), as `weighted_sum`."""
    if elect:
        per_model = election(weight, factor, lambda_, normalize)
        return Combined(True, *per_model, np.float32(lambda_), normalize, 0, np.float32(1))
    terms = [w * f for w, f in zip(weight, factor, strict=True)]
    models = [term * (lambda_ / (fsum(weight) if normalize else 1.0)) for term in terms]
    coefficients = (1.0 - fsum(models), *models)
    anchor, total = anchored(coefficients)
    own = singles(coefficients)
    return Combined(False, own[1:], own[1:], own[1:], own[0], False, anchor, np.float32(total))


def sparse_sum(
    stream: Stream,
    masks: Masks,
    how: Combined,
    roles: tuple[int, int],
    *,
    rounding: str,
    key: np.uint64,
    start: int,
    count: int,
    sums: Sums,
) -> int:
    """The base (first input, stored bfloat16) with its kept task vectors, into stored bfloat16.

    start: index of the first of `count` elements in its tensor, a multiple of TILE. masks: of these elements. roles:
    positions of general and clinical. sums: (3,), added to, as `tile` says. Returns how many elements are done: fewer
    where a file stops, or before a block (BLOCK elements) with a value that is not finite in any input or the output.
    """
    return _sums(
        stream,
        masks.arrays(),
        (how.elect, (how.scaled, how.share, how.vote), (how.lambda_, how.scale), how.normalize, how.anchor, roles),
        key,
        np.uint64(start),
        count,
        rounding == "stochastic",
        sums,
    )


def sparse_norms(stream: Stream, masks: Masks, start: int, count: int) -> Sums | None:
    """(segments, 2, models): L1 norms of the task vectors in each segment, whole and as kept: the bits of l1_distances.

    stream: `count` elements of stored bfloat16, the base first, in whole segments from element `start` on. None where a
    file did not give all.
    """
    norms = np.empty((-(-count // BLOCK), 2, len(stream.inputs) - 1))
    return norms if _norms(stream, masks.arrays(), np.uint64(start), count, norms) else None


@compiled
def _sums(
    stream: Stream, masks: Any, how: Any, key: np.uint64, start: np.uint64, count: int, stochastic: bool, sums: Sums
) -> int:
    for first in range(0, count, BLOCK):
        size, found = min(BLOCK, count - first), np.zeros(3)
        if not filled(stream, first, size):
            return first
        at, out, there = place_in(stream, first), room_for(stream, first, size), _from(masks, first)
        _sum(stream.inputs, at, there, how, (key, start + np.uint64(first)), stochastic, out, found)
        if not accepted(stream, first, size, found, sums):
            return first
    return count


@compiled
def _from(masks: Any, first: int) -> Any:
    """The masks of what follows the first elements: positions count from there."""
    limits, trimmed, keys, thresholds = masks
    shifted = limits.copy()
    shifted[:, :, 1] -= first
    return shifted, trimmed, keys, thresholds


@compiled
def _sum(
    raws: Any,
    at: int,
    masks: Any,
    how: Any,
    keyed: tuple[np.uint64, np.uint64],
    stochastic: bool,
    out: Bits,
    sums: Sums,
) -> None:
    elect, (scaled, share, vote), (lambda_, scale), normalize, anchor, roles = how
    key, start = keyed
    inputs = len(raws)
    wide, kept = np.empty((inputs, CHUNK), np.float32), np.empty((inputs - 1, CHUNK), np.float32)
    values, back = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    products = np.zeros(3 * TILE, np.float32)
    drawn, words = np.zeros(TILE // 4, np.uint64), np.empty(CHUNK // 2 + 1, np.uint64)
    halves = drawn.view(np.uint16)
    general, clinical = roles
    for t in range(0, out.size, TILE):
        if stochastic:
            draw_tile(key, start + np.uint64(t), drawn)
        if t + TILE > out.size:
            products[:] = np.float32(0)
        for first in range(t, min(t + TILE, out.size), CHUNK):
            size = min(CHUNK, out.size - first)
            _load(raws, at + first, size, wide)
            if _hidden(raws, roles, at + first, size):
                sums[0] = np.nan
            _keep(wide, size, masks, start, first, words, kept)
            if elect:
                elect_rows(wide[0, :size], kept, scaled, scaled, share, vote, lambda_, normalize, values[:size])
            else:
                _weigh(wide[0, :size], kept, lambda_, scaled, anchor, scale, values[:size])
            place = first - t
            round_tile(values[:size], halves[place : place + size], stochastic, out[first : first + size], back[:size])
            ends = wide[general, :size], wide[clinical, :size]
            measure_part(values[:size], ends[0], ends[1], back[:size], products[place:])
        fold_products(products, sums)


@compiled
def _load(raws: Any, first: int, size: int, wide: Floats) -> None:
    for model in range(len(raws)):
        widen_bf16(raws[model][first : first + size], wide[model, :size].view(np.uint32))


@compiled
def _hidden(raws: Any, roles: tuple[int, int], first: int, size: int) -> bool:
    """Whether an element is not finite where it would not show in the sums."""
    top = np.uint16(0)
    for model in range(len(raws)):
        if model != roles[0] and model != roles[1]:
            top = max(top, _largest(raws[model][first : first + size]))
    return bool(top >= _INFINITY)


@compiled
def _largest(part: Bits) -> np.uint16:
    """The bits of the largest magnitude: those of NaN lie above those of infinity, which lie above all others."""
    top = np.uint16(0)
    for i in range(part.size):
        top = max(top, np.uint16(part[i] & _MAGNITUDE))
    return top


@compiled
def _copy(x: Floats, out: Floats) -> None:
    for i in range(out.size):
        out[i] = x[i]


@compiled
def _keep(
    wide: Floats, size: int, masks: Any, start: np.uint64, first: int, words: NDArray[np.uint64], kept: Floats
) -> None:
    """Each model where its mask keeps it, the base elsewhere."""
    limits, trimmed, keys, thresholds = masks
    base = wide[0, :size]
    for model in range(kept.shape[0]):
        row, x = kept[model, :size], wide[model + 1, :size]
        if trimmed[model]:
            _trim(x, base, limits[model], first, row)
        elif thresholds[model] <= _LOW:
            halves = drawn_halves(keys[model], int(start) + first, size, words)
            choose(x, base, halves, np.uint32(thresholds[model]), row)
        else:
            _copy(x, row)


@compiled
def _trim(x: Floats, base: Floats, limits: NDArray[np.int64], first: int, row: Floats) -> None:
    size = x.size
    one, two = min(max(limits[0, 1] - first, 0), size), min(max(limits[1, 1] - first, 0), size)
    low, high = min(one, two), max(one, two)
    for begin, end in ((0, low), (low, high), (high, size)):
        if begin < end:
            least = limits[0, 0] + (1 if begin >= one else 0)
            above = limits[1, 0] + (1 if begin >= two else 0)
            keep_between(x[begin:end], base[begin:end], np.uint32(least), np.uint32(above), row[begin:end])


@compiled
def _weigh(
    base: Floats, kept: Floats, of_base: np.float32, of_models: Any, anchor: int, scale: np.float32, out: Floats
) -> None:
    """weighted_sum of a chunk, the base first."""
    zero = np.float32(0)
    for j in range(out.size):
        middle = base[j] if anchor == 0 else kept[anchor - 1, j]
        value = scale * middle
        if anchor != 0:
            value = with_term(value, of_base * (base[j] - middle))
        for model in range(len(of_models)):
            term = of_models[model] * (kept[model, j] - middle) if anchor != model + 1 else zero
            value = with_term(value, term)
        out[j] = value


@compiled
def _norms(stream: Stream, masks: Any, start: np.uint64, count: int, norms: Sums) -> bool:
    inputs = len(stream.inputs)
    for segment in range(norms.shape[0]):
        first = segment * BLOCK
        size = min(BLOCK, count - first)
        if not filled(stream, first, size):
            return False
        whole, left = np.zeros((inputs, LANES)), np.zeros((inputs, LANES))
        here = start + np.uint64(first)
        _add_norms(stream.inputs, place_in(stream, first), size, _from(masks, first), here, whole, left)
        for model in range(1, inputs):
            norms[segment, :, model - 1] = added((whole[model], left[model]))
    return True


@compiled
def _add_norms(raws: Any, at: int, elements: int, masks: Any, start: np.uint64, whole: Sums, left: Sums) -> None:
    inputs = len(raws)
    wide, kept = np.empty((inputs, CHUNK), np.float32), np.empty((inputs - 1, CHUNK), np.float32)
    words = np.empty(CHUNK // 2 + 1, np.uint64)
    for first in range(0, elements, CHUNK):
        size = min(CHUNK, elements - first)
        _load(raws, at + first, size, wide)
        _keep(wide, size, masks, start, first, words, kept)
        for model in range(1, inputs):
            add_l1(wide[model, :size], kept[model - 1, :size], wide[0, :size], whole[model], left[model])
