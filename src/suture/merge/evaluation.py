"""One tensor of a merge: its open inputs, the passes that its method asks for, then any stretch of the result.

An evaluation is shared by threads: each brings its own desk of buffers. Passes come first, one after the other: every
stretch of the tensor is measured, in any order, and the parts are concluded in order. After that any block of the
result can be had, again in any order, which is what lets one tensor occupy every core and a stage feed another one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture import kernels
from suture.checkpoint.digest import LeafHasher
from suture.checkpoint.header import DTYPE_BYTES, TensorInfo
from suture.checkpoint.source import Input, OpenSource, ReaderOf
from suture.checkpoint.token_rows import Rows
from suture.kernels.grams import gram_pairs
from suture.kernels.streams import BLOCK, Stream, in_memory
from suture.merge.backend import Backend
from suture.merge.buffers import Desk
from suture.merge.masked import MaskedLoops
from suture.merge.passes import COUNTED, Part, Pass, Stretch
from suture.methods import masks as masking
from suture.methods import selection
from suture.methods.derived import conclude, segment_length, waves
from suture.methods.gram import Gram
from suture.methods.registry import Blocks, ElementwiseMethod, MatrixMethod, SpanMethod
from suture.methods.shapes import Block, Reduction, Sums
from suture.numerics.keys import model_keys
from suture.plan import StagedInput, TensorJob

Floats = NDArray[np.float32]
MOST_REMEMBERED = 64 << 20
"""Bytes of masks that are kept between two passes, at most; those of larger tensors are made twice."""

STRETCH = 1 << 22
"""Elements of one task of a pass; the end is moved to a segment's where segments hold whole rows."""


class Evaluation:
    """See the module. seed keys the draws of random methods, with the job's name. grams: Gram matrices by tensor,
    used where there, else filled."""

    def __init__(
        self,
        job: TensorJob,
        reader_of: ReaderOf,
        backend: Backend,
        seed: int,
        grams: dict[str, Any] | None = None,
    ) -> None:
        self.grams = grams
        self.job = job
        self.backend = backend
        self.reader_of = reader_of
        self.elements = math.prod(job.shape)
        self.columns = job.shape[-1] if len(job.shape) > 1 else self.elements
        drawing = isinstance(job.method, ElementwiseMethod)
        self.keys = model_keys(seed, job.name, len(job.inputs) - job.method.info.first_model) if drawing else ()
        self.arc: bool | None = None
        self.coefficients: tuple[float, ...] | None = None
        self._rows: Sums | None = None
        self._whole: Floats | None = None
        self.found: dict[str, Any] = {}
        self._remembered: masking.Remembered | None = None
        self._opened = threading.local()
        self._stages = {i: self._stage(given) for i, given in enumerate(job.inputs) if isinstance(given, StagedInput)}
        sparse = job.method.sparse if isinstance(job.method, ElementwiseMethod) and self.stored_bf16 else None
        self.masked = MaskedLoops(self, sparse) if sparse is not None else None
        self._passes = self._plan_passes() if self.elements and job.action == "merge" else iter(())
        self.current = next(self._passes, None)

    # --- what the scheduler drives -----------------------------------------------------------------------------

    def measure(self, stretch: Stretch, desk: Desk) -> list[list[Part]]:
        """The parts of one stretch of the current pass: for each measured array those of its segments, in order."""
        this = self.current
        assert this is not None
        if this.sample is not None:
            return this.sample(desk)
        if this.raw is not None:
            stream = self.stream(stretch.start, stretch.count, desk)
            whole = this.raw(stream, stretch.start, stretch.count) if stream is not None else None
            if whole is not None:
                return whole
        parts: list[list[Part]] = []
        for start in range(stretch.start, stretch.start + stretch.count, this.stride):
            count = min(this.stride, stretch.start + stretch.count - start)
            if this.raw is not None:  # a file that did not give all: here that is an error
                found = this.raw(in_memory(self.read_raw(start, count, desk)), start, count)
                assert found is not None
            else:
                found = this.measure(self.blocks(start, count, desk))
            if not parts:
                parts = found
                continue
            for added, so_far, more in zip(this.counts, parts, found, strict=True):
                if added:
                    so_far[0] += more[0]
                else:
                    so_far += more
        return parts

    def conclude(self, parts: Sequence[list[list[Part]]]) -> None:
        """End the current pass with the parts of all its stretches, in order, and go to the next."""
        assert self.current is not None
        together = [[part for stretch in parts for part in stretch[i]] for i in range(len(parts[0]) if parts else 0)]
        self.current.conclude(together)
        self.current = next(self._passes, None)

    def run_passes(self, desk: Desk) -> None:
        """Make all passes in this thread."""
        while self.current is not None:
            self.conclude([self.measure(stretch, desk) for stretch in self.current.stretches])

    # --- inputs ------------------------------------------------------------------------------------------------

    def read_raw(
        self, start: int, count: int, desk: Desk, hashers: Sequence[LeafHasher | None] | None = None
    ) -> list[NDArray[Any]]:
        """The stored bits of all inputs, where `stored_bf16` holds; `hashers` see those of whole tensors."""
        found = []
        for index, info in enumerate(self.job.inputs):
            if isinstance(info, Rows):
                found.append(desk.raw(index, info.dtype, count, 0)[0])
                self._read_pieces(info, start, found[-1])
            else:
                assert isinstance(info, TensorInfo)
                found.append(self._read_stored(index, info, start, count, desk, hashers))
        return found

    def _read_pieces(self, given: Input, start: int, out: NDArray[Any]) -> None:
        for info, first, count in _pieces_of(given, start, out.size):
            part, out = out[:count], out[count:]
            if info is None:
                part[:] = 0
            else:
                self.reader_of(info).read_into(info, first * part.itemsize, part.data.cast("B"))

    def stream(self, start: int, count: int, desk: Desk) -> Stream | None:
        """`count` elements of all inputs from `start` on, for loops that read by themselves.

        None where an input is not one stretch of a file.
        """
        buffers, files, offsets = [], [], []
        for index, given in enumerate(self.job.inputs):
            info, first, size = next(_pieces_of(given, start, count))
            if size < count or info is None:
                return None
            offsets.append(info.offset + first * DTYPE_BYTES[info.dtype])
            buffers.append(desk.raw(index, info.dtype, BLOCK, offsets[-1])[0])
            files.append(self.reader_of(info).descriptor(info))
        return in_memory(buffers)._replace(files=tuple(files), offsets=tuple(offsets))

    def stored_part(self, index: int, start: int, count: int) -> NDArray[Any]:
        """The stored bits of one input in memory of their own, where `stored_bf16` holds."""
        raw = np.empty(count, np.uint16)
        self._read_pieces(self.job.inputs[index], start, raw)
        return raw

    def blocks(self, start: int, count: int, desk: Desk, hashers: Sequence[LeafHasher | None] | None = None) -> Blocks:
        """The inputs' float32 blocks."""
        inputs = [self._wide(i, given, start, count, desk, hashers) for i, given in enumerate(self.job.inputs)]
        first = len(inputs)
        information = [self._wide(first + i, g, start, count, desk) for i, g in enumerate(self.job.information)]
        return Blocks(inputs, start, self.keys, self.columns, self.elements, information, self._remembered)

    def _read_stored(
        self, index: int, info: TensorInfo, start: int, count: int, desk: Desk, hashers: Any = None
    ) -> NDArray[Any]:
        offset = start * DTYPE_BYTES[info.dtype]
        raw, data = desk.raw(index, info.dtype, count, info.offset + offset)
        self.reader_of(info).read_into(info, offset, data)
        if hashers is not None and hashers[index] is not None:
            hashers[index].update(data)
        return raw

    def _wide(self, index: int, given: Input, start: int, count: int, desk: Desk, hashers: Any = None) -> Block:
        out = desk.floats(index, count)
        if isinstance(given, TensorInfo):
            return self.backend.wide(self._read_stored(index, given, start, count, desk, hashers), given.dtype, out)
        self._source(index, given).read_f32(start, out)
        return self.backend.given(out)

    def _stage(self, given: StagedInput) -> OpenSource:
        from suture.merge.staged import StagedSource  # it evaluates, in its turn

        return StagedSource(given, self.reader_of, self.backend)

    def _source(self, index: int, given: Input) -> OpenSource:
        """An open source: one for all threads where it is a stage, else one a thread."""
        if isinstance(given, StagedInput):
            return self._stages[index]
        if not hasattr(self._opened, "sources"):
            self._opened.sources = {}
        if index not in self._opened.sources:
            assert not isinstance(given, TensorInfo)
            self._opened.sources[index] = given.open(self.reader_of)
        found: OpenSource = self._opened.sources[index]
        return found

    # --- the result ---------------------------------------------------------------------------------------------

    def combine(self, blocks: Blocks, out: Block) -> None:
        """Write one block of the result into `out`; all passes must be made."""
        job = self.job
        if self._whole is not None:
            stretch = self._whole[blocks.start : blocks.start + len(out)]
            out[:] = self.backend.given(stretch)
        elif self.coefficients is not None:
            self.backend.steps.weighted_sum(blocks.inputs, self.coefficients, out)
        elif self._rows is not None:
            group = job.method.group(**job.arguments)  # type: ignore[union-attr]
            first = blocks.start // self.columns if group == "row" else 0
            self.backend.steps.weighted_groups(blocks.inputs, self._rows, self.columns, group, first, out)
        else:
            assert isinstance(job.method, ElementwiseMethod)
            job.method.combine(self.backend.steps, blocks, self.found, out, **job.arguments)

    def aligned(self, start: int, count: int) -> tuple[int, int]:
        """The smallest stretch around elements start to start + count that `combine` takes, as (start, count)."""
        step = self.columns if self.whole_rows else kernels.SEGMENT
        first = start - start % step if step else start
        last = min(self.elements, -(-(start + count) // step) * step) if step else start + count
        return first, last - first

    @property
    def whole_rows(self) -> bool:
        """Whether blocks of this tensor hold whole rows."""
        method, arguments = self.job.method, self.job.arguments
        if isinstance(method, SpanMethod):
            return self._rows is not None
        return isinstance(method, ElementwiseMethod) and method.whole_rows(**arguments)

    def walk(self, start: int, count: int) -> Iterator[tuple[int, int]]:
        """Blocks (start, count) that cover a stretch, as long as buffers and alignment allow."""
        step = self.backend.block_elements
        if self.whole_rows and self.columns:
            step = self.columns * max(1, step // self.columns)
        first, total = self.aligned(start, count)
        for begin in range(first, first + total, step):
            yield begin, min(step, first + total - begin)

    # --- the passes, by shape --------------------------------------------------------------------------------------

    def _plan_passes(self) -> Iterator[Pass]:
        method = self.job.method
        if isinstance(method, SpanMethod):
            yield from self._span_passes(method)
        elif isinstance(method, ElementwiseMethod):
            yield from self._elementwise_passes(method)
        else:
            yield from self._matrix_passes(method)

    def _span_passes(self, method: SpanMethod) -> Iterator[Pass]:
        arguments, count = self.job.arguments, len(self.job.inputs)
        group = method.group(**arguments) if len(self.job.shape) > 1 else "tensor"
        if group != "tensor":
            yield from self._group_pass(method, group)
            return
        if not method.needs_gram:
            self.coefficients = method.weights(None, count, **arguments)
            return

        if self.grams is not None and self.job.name in self.grams:
            self._span_from(method, self.grams[self.job.name])
            return

        def settle(parts: list[list[Part]]) -> None:
            gram = Gram(_added(parts[0]), 0)
            if self.grams is not None:
                self.grams[self.job.name] = gram
            self._span_from(method, gram)

        raw = _raw_gram if self.stored_bf16 and len(self.job.inputs) == 2 else None
        stride = kernels.SEGMENT * (COUNTED if raw else 1)
        yield Pass(
            self.stretches(stride),
            stride,
            lambda blocks: [[self.backend.steps.gram_segment(blocks.inputs, 0)]],
            settle,
            raw=raw,
        )

    def _span_from(self, method: SpanMethod, gram: Gram) -> None:
        self.coefficients = method.weights(gram, len(self.job.inputs), **self.job.arguments)
        self.arc = method.takes_arc(gram) if method.takes_arc is not None else None

    @cached_property
    def stored_bf16(self) -> bool:
        """Whether loops over stored bits can take all inputs."""
        return self.backend.fused and all(_stored(i) and i.dtype == "BF16" for i in self.job.inputs)

    def _group_pass(self, method: SpanMethod, group: str) -> Iterator[Pass]:
        segment = self.columns * max(1, -(-kernels.SEGMENT // max(self.columns, 1)))

        def settle(parts: list[list[Part]]) -> None:
            grams = np.concatenate(parts[0]) if group == "row" else _added(parts[0])
            weights = method.weights(Gram(grams, 0), len(self.job.inputs), **self.job.arguments)
            self._rows = np.stack(np.broadcast_arrays(*weights), axis=-1)

        yield Pass(
            self.stretches(segment),
            segment,
            lambda blocks: [[self.backend.steps.gram_groups(blocks.inputs, 0, self.columns, group)]],
            settle,
        )

    def _elementwise_passes(self, method: ElementwiseMethod) -> Iterator[Pass]:
        arguments = self.job.arguments
        segment = segment_length(method, self.columns, arguments, kernels.SEGMENT)
        reductions = method.statistics(**arguments)
        if self.masked is not None and any(reduction.name == "rank" for reduction in reductions):
            yield from self.masked.passes()
        for wave in waves(reductions, selection.NAMES if "rank" in self.found else ()):
            measured = tuple(reduction for reduction in wave if reduction.needed(self.found))
            if measured:
                yield self._wave_pass(wave, measured, segment, arguments)
            else:
                self.found = self.found | conclude(wave, {}, self.found, self.elements, arguments)

    def _wave_pass(
        self,
        wave: tuple[Reduction, ...],
        measured: tuple[Reduction, ...],
        segment: int,
        arguments: Mapping[str, Any],
    ) -> Pass:
        """The pass that measures `measured`, after which all of `wave` conclude."""

        steps, counts = self.backend.steps, tuple(reduction.by == "count" for reduction in measured)
        raw = self.masked.norms if self.masked is not None and all(r.norms for r in measured) else None
        stride = segment * COUNTED if any(counts) or raw else segment

        def measure(blocks: Blocks) -> list[list[Part]]:
            pieces = [blocks] if len(blocks.inputs[0]) <= segment else list(_pieces(blocks, segment))
            return [
                [r.measure(steps, part, self.found, **arguments) for part in ([blocks] if counted else pieces)]
                for r, counted in zip(measured, counts, strict=True)
            ]

        if self._may_remember(measured):
            self._remembered = masking.Remembered(len(self.job.inputs) - 1, self.elements)

        def settle(parts: list[list[Part]]) -> None:
            if self._remembered is not None:
                self._remembered.complete = True
            named = {reduction.name: part for reduction, part in zip(measured, parts, strict=True)}
            self.found = self.found | conclude(wave, named, self.found, self.elements, arguments)

        return Pass(self.stretches(stride), stride, measure, settle, counts, raw)

    def _may_remember(self, measured: Sequence[Reduction]) -> bool:
        """Whether masks are kept between the pass of their norms and the result: where they go by ranks in rows."""
        nbytes = self.elements * (len(self.job.inputs) - 1) // 8
        whole_bytes = self.whole_rows and self.columns % 8 == 0
        return any(r.norms for r in measured) and whole_bytes and nbytes <= MOST_REMEMBERED

    def _matrix_passes(self, method: MatrixMethod) -> Iterator[Pass]:
        """One pass that gathers whole tensors, as one stretch: what a matrix method holds, its plan has said."""
        whole = [np.empty(self.elements, np.float32) for _ in self.job.inputs]

        def gather(blocks: Blocks) -> list[list[Part]]:
            for tensor, block in zip(whole, blocks.inputs, strict=True):
                tensor[blocks.start : blocks.start + len(block)] = self.backend.host(block)
            return []

        def settle(parts: list[list[Part]]) -> None:
            shaped = [tensor.reshape(self.job.shape) for tensor in whole]
            extra: dict[str, Any] = {}
            if method.info.information != "none":
                extra["information"] = [self._gathered(i, g) for i, g in enumerate(self.job.information)]
            self._whole = np.ascontiguousarray(method.matrix(shaped, **extra, **self.job.arguments)).reshape(-1)
            whole.clear()

        yield Pass(self.stretches(kernels.SEGMENT), kernels.SEGMENT, gather, settle, ())

    def _gathered(self, index: int, given: Input) -> Floats:
        """One information tensor, whole, of its own shape."""
        count = math.prod(given.shape)
        desk = Desk(max(count, 1))
        block = self._wide(len(self.job.inputs) + index, given, 0, count, desk)
        return self.backend.host(block).reshape(given.shape).copy()

    def stretches(self, segment: int) -> tuple[Stretch, ...]:
        """The tasks of a pass: about STRETCH elements each, in whole segments."""
        step = segment * max(1, STRETCH // max(segment, 1))
        return tuple(Stretch(start, min(step, self.elements - start)) for start in range(0, self.elements, step))


def _raw_gram(stream: Stream, start: int, count: int) -> list[list[Part]] | None:
    grams = gram_pairs(stream, count)
    return None if grams is None else [list(grams)]


def _stored(given: Input) -> bool:
    return given.only_stored if isinstance(given, Rows) else isinstance(given, TensorInfo)


def _pieces_of(given: Input, start: int, count: int) -> Iterator[tuple[TensorInfo | None, int, int]]:
    """Where elements of an input are stored, see Rows.pieces; a whole tensor is one piece."""
    if isinstance(given, Rows):
        yield from given.pieces(start, count)
    else:
        assert isinstance(given, TensorInfo)
        yield given, start, count


def _pieces(blocks: Blocks, segment: int) -> Iterator[Blocks]:
    """The segments of a stretch that begins at one."""
    for start in range(0, len(blocks.inputs[0]), segment):
        part = slice(start, start + segment)
        yield replace(
            blocks,
            inputs=[block[part] for block in blocks.inputs],
            start=blocks.start + start,
            information=[block[part] for block in blocks.information],
        )


def _added(parts: Sequence[Part]) -> Part:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
