"""One tensor of a method that is a sum of masked task vectors, by the loops over stored bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from suture import kernels
from suture.kernels.pivots import pivot_counts
from suture.kernels.sparse import Combined, Masks, as_masks, combined, sparse_norms
from suture.merge.buffers import Desk
from suture.merge.passes import COUNTED, Part, Pass, Stretch
from suture.merge.pivots import CHUNK, SAMPLED_FROM, Pivots, choose_pivots, sample_starts, settle
from suture.methods.masks import Sparse
from suture.methods.masks import Stretch as Masked

if TYPE_CHECKING:
    from suture.merge.evaluation import Evaluation


class MaskedLoops:
    """See the module. `form` is the method's; every input of `evaluation` is stored bfloat16."""

    def __init__(self, evaluation: Evaluation, form: Sparse) -> None:
        self._evaluation, self._form = evaluation, form

    def passes(self) -> Iterator[Pass]:
        """Find the bounds of ranks by a sample and one pass, as "rank" and "before" of what the evaluation found.

        None for small tensors. Where they do not settle it nothing is found, and both histogram passes must follow.
        """
        own, chosen = self._evaluation, list[Pivots | None]()
        if self._form.ranks is None or own.elements < SAMPLED_FROM:
            return
        wanted = self._form.ranks(own.elements, {}, **own.job.arguments)

        def choose(parts: list[list[Any]]) -> None:
            chosen.append(choose_pivots(parts[0], wanted, own.elements))

        whole = (Stretch(0, own.elements),)
        yield Pass(whole, own.elements, lambda blocks: [], choose, sample=self._sample)
        pivots = chosen[0]
        if pivots is None:
            return

        def count(raws: Sequence[NDArray[Any]], start: int) -> list[list[Any]]:
            return [[pivot_counts(raws, pivots.first, pivots.entries)]]

        def conclude(parts: list[list[Any]]) -> None:
            found = settle(pivots, parts[0])
            if found is not None:
                own.found = own.found | {"rank": found[0], "before": found[1]}

        stride = kernels.SEGMENT * COUNTED
        yield Pass(own.stretches(stride), stride, lambda blocks: [], conclude, raw=count)

    def _sample(self, desk: Desk) -> list[list[Any]]:
        starts = sample_starts(self._evaluation.elements)
        samples = [np.empty(len(starts) * CHUNK, np.uint16) for _ in self._evaluation.job.inputs]
        for number, start in enumerate(starts):
            part = slice(number * CHUNK, (number + 1) * CHUNK)
            for sample, raw in zip(samples, self._evaluation.read_raw(start, CHUNK, desk), strict=True):
                sample[part] = raw
        return [samples]

    def norms(self, raws: Sequence[NDArray[Any]], start: int) -> list[list[Part]]:
        """The L1 norms of whole segments that begin at element `start`, as a pass measures them."""
        return [list(sparse_norms(raws, self.masks(raws, start), start))]

    def masks(self, raws: Sequence[NDArray[Any]], start: int) -> Masks:
        """What the method keeps of stored bits that begin at element `start`; all passes before must be made."""
        own, size = self._evaluation, raws[0].size

        def place(model: int, bits: int, count: int) -> int:
            wide = np.empty((2, size), np.float32)
            for row, raw in zip(wide, (raws[1 + model], raws[0]), strict=True):
                kernels.widen(raw, "BF16", row)
            return kernels.place_of(wide[0], wide[1], bits, count)

        stretch = Masked(start, size, kernels.SEGMENT, own.keys, place)
        return as_masks(self._form.masks(own.found, stretch, **own.job.arguments), size)

    def combined(self) -> Combined:
        """How kept task vectors are put together; all passes must be made."""
        weight, factor, lambda_, normalize = self._form.terms(self._evaluation.found, **self._evaluation.job.arguments)
        return combined(weight, factor, lambda_, normalize=normalize, elect=self._form.elect)
