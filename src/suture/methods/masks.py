"""What is kept of each model's task vector in one block: everything, a range of ranks, or what a draw keeps.

Methods say it in this form, from which follow both the single steps and the loop over stored bits that does all of a
block at once (`suture.kernels.sparse`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Bound = tuple[int, int]
"""(bits, cut): magnitudes above `bits` everywhere, and equal ones before position `cut` of the block."""


class Mask(NamedTuple):
    """Of one model: inside the first bound and outside the second; or kept by draws (key, density); or all."""

    ranks: tuple[Bound, Bound] | None = None
    draws: tuple[np.uint64, float] | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A block as masks need it.

    start: index of its first element in the tensor, a multiple of `segment`. place(model, segment, bits, count): the
    least place in this segment of the block such that `count` of the model's magnitudes in it before have exactly
    these bits.
    """

    start: int
    size: int
    segment: int
    keys: tuple[np.uint64, ...]
    place: Callable[[int, int, int, int], int]


class Remembered:
    """The masks of one tensor, one bit an element of each model, filled in one pass and read in a later one.

    For masks that cost more than to keep them. Threads fill stretches of their own, of whole bytes.
    """

    def __init__(self, models: int, elements: int) -> None:
        self._bits = np.zeros((models, -(-elements // 8)), np.uint8)
        self.complete = False

    def part(self, model: int, start: int, size: int) -> NDArray[np.uint8]:
        """The bytes of `size` elements from `start` on, a multiple of eight."""
        return self._bits[model, start // 8 : -(-(start + size) // 8)]


class Terms(NamedTuple):
    """Weight and factor of each model's kept task vector, lambda, and whether the sum is divided by the weights'."""

    weight: tuple[float, ...]
    factor: list[float]
    lambda_: float
    normalize: bool


@dataclass(frozen=True, slots=True)
class Sparse:
    """A method that is a sum of masked task vectors (an election where `elect`).

    masks(found, stretch, **parameters): one for each model. terms(found, **parameters). ranks(elements, found,
    **parameters): (models, bounds), how many of the largest lie inside each bound; None where masks are no ranks.
    """

    masks: Callable[..., list[Mask]]
    terms: Callable[..., Terms]
    elect: bool
    ranks: Callable[..., Counts] | None = None


def stretch_of(steps: Any, blocks: Any, pairs: Sequence[tuple[Any, Any]]) -> Stretch:
    """Blocks of the backend as masks need them; `pairs` are what each selection orders."""

    def place(model: int, segment: int, bits: int, count: int) -> int:
        part = slice(segment * steps.SEGMENT, (segment + 1) * steps.SEGMENT)
        x, y = pairs[model]
        return int(steps.place_of(x[part], y[part], bits, count))

    return Stretch(blocks.start, len(blocks.inputs[0]), steps.SEGMENT, blocks.keys, place)


def keep_by(masks: Callable[..., list[Mask]]) -> Callable[..., None]:
    """The step that writes each model into its row where its mask keeps it, the base elsewhere."""

    def keep(steps: Any, blocks: Any, found: Mapping[str, Any], rows: Any, **parameters: Any) -> None:
        base, *models = blocks.inputs
        stretch = stretch_of(steps, blocks, [(model, base) for model in models])
        for model, row, mask in zip(models, rows, masks(found, stretch, **parameters), strict=True):
            if mask.ranks is not None:
                steps.kept_by_rank(model, base, mask.ranks, row)
            elif mask.draws is not None:
                key, density = mask.draws
                steps.thinned(model, base, key, blocks.start, density, row)
            else:
                row[:] = model

    return keep
