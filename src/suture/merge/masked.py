"""One tensor of a method that is a sum of masked task vectors, by the loops over stored bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from suture import kernels
from suture.kernels.pivots import Counted, pivot_counts, sampled
from suture.kernels.sparse import Combined, Masks, as_masks, combined, sparse_norms
from suture.kernels.streams import Stream
from suture.merge.buffers import Desk
from suture.merge.passes import COUNTED, Part, Pass, Stretch
from suture.merge.pivots import CHUNK, SAMPLED_FROM, Pivots, choose_pivots, sample_starts, settle, settle_by_sorting
from suture.methods.masks import Sparse
from suture.methods.masks import Stretch as Masked
from suture.methods.selection import Found

if TYPE_CHECKING:
    from suture.merge.evaluation import Evaluation


class MaskedLoops:
    """See the module. `form` is the method's; every input of `evaluation` is stored bfloat16."""

    def __init__(self, evaluation: Evaluation, form: Sparse) -> None:
        self._evaluation, self._form = evaluation, form

    def passes(self) -> Iterator[Pass]:
        """Find the bounds of ranks, as "rank" and "before" of what the evaluation found.

        By sorting a small tensor; by a sample and one pass of any other. Where those do not settle it nothing is found,
        and both histogram passes must follow.
        """
        own, chosen = self._evaluation, list[Pivots | None]()
        if self._form.ranks is None:
            return
        wanted = self._form.ranks(own.elements, {}, **own.job.arguments)
        whole = (Stretch(0, own.elements),)

        def keep(found: tuple[Found, Any] | None) -> None:
            if found is not None:
                own.found = own.found | {"rank": found[0], "before": found[1]}

        if own.elements < SAMPLED_FROM:

            def sort(parts: list[list[Any]]) -> None:
                keep(settle_by_sorting(parts[0], wanted))

            yield Pass(whole, own.elements, lambda blocks: [], sort, sample=self._whole)
            return

        def choose(parts: list[list[Any]]) -> None:
            chosen.append(choose_pivots(parts[0], wanted, own.elements))

        yield Pass(whole, own.elements, lambda blocks: [], choose, sample=self._sample)
        pivots = chosen[0]
        if pivots is None:
            return

        def count(stream: Stream, start: int, size: int) -> list[list[Counted]] | None:
            found = pivot_counts(stream, pivots.first, pivots.entries, size)
            return None if found is None else [[found]]

        def conclude(parts: list[list[Any]]) -> None:
            keep(settle(pivots, parts[0]))

        stride = kernels.SEGMENT * COUNTED
        yield Pass(own.stretches(stride), stride, lambda blocks: [], conclude, raw=count)

    def _sample(self, desk: Desk) -> list[list[Any]]:
        starts = sample_starts(self._evaluation.elements)
        stream = self._evaluation.stream(0, self._evaluation.elements, desk)
        found = sampled(stream, starts, CHUNK) if stream is not None else None
        if found is not None:
            return [found]
        samples = [np.empty(len(starts) * CHUNK, np.uint16) for _ in self._evaluation.job.inputs]
        for number, start in enumerate(starts):
            part = slice(number * CHUNK, (number + 1) * CHUNK)
            for sample, raw in zip(samples, self._evaluation.read_raw(start, CHUNK, desk), strict=True):
                sample[part] = raw
        return [samples]

    def _whole(self, desk: Desk) -> list[list[Any]]:
        return [self._evaluation.read_raw(0, self._evaluation.elements, desk)]

    def norms(self, stream: Stream, start: int, count: int) -> list[list[Part]] | None:
        """The L1 norms of whole segments that begin at element `start`, as a pass measures them."""
        found = sparse_norms(stream, self.masks(start, count), start, count)
        return None if found is None else [list(found)]

    def masks(self, start: int, count: int) -> Masks:
        """What the method keeps of `count` elements from `start` on; all passes before must be made."""
        own = self._evaluation

        def place(model: int, segment: int, bits: int, wanted: int) -> int:
            first = start + segment * kernels.SEGMENT
            size = min(kernels.SEGMENT, own.elements - first)
            x, base = (self._wide(index, first, size) for index in (1 + model, 0))
            return kernels.place_of(x, base, bits, wanted)

        stretch = Masked(start, count, kernels.SEGMENT, own.keys, place)
        return as_masks(self._form.masks(own.found, stretch, **own.job.arguments), count)

    def _wide(self, index: int, start: int, count: int) -> NDArray[np.float32]:
        wide = np.empty(count, np.float32)
        kernels.widen(self._evaluation.stored_part(index, start, count), "BF16", wide)
        return wide

    def combined(self) -> Combined:
        """How kept task vectors are put together; all passes must be made."""
        weight, factor, lambda_, normalize = self._form.terms(self._evaluation.found, **self._evaluation.job.arguments)
        return combined(weight, factor, lambda_, normalize=normalize, elect=self._form.elect)
