"""One unit of work: a stretch of one tensor, merged, rounded, measured, digested and handed to the sink.

What a unit tells besides its bytes is its record, plain JSON, so that a journal can keep it: digests of its leaves
(inputs and output), the three sums of the realised coefficient, counts of what is not finite or vanished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from suture import kernels
from suture.checkpoint.digest import LeafHasher
from suture.checkpoint.header import DTYPE_BYTES, TensorInfo
from suture.errors import IncompatibleError, Problem
from suture.kernels import fused
from suture.kernels.sparse import sparse_sum
from suture.kernels.streams import BLOCK, IN_MEMORY, Stream, in_memory
from suture.merge.buffers import STORED, Desk
from suture.merge.evaluation import Evaluation
from suture.merge.masked import MaskedLoops
from suture.methods.shapes import Block, Sums
from suture.numerics.anchor import anchored
from suture.numerics.keys import random_key

FUSED_BLOCK = 1 << 19
"""Elements of a block where one loop does everything: long enough that the steps between blocks cost little."""

Record = dict[str, Any]

Loop = Callable[..., int]
"""loop(stream, sums, start=, count=): from stored bfloat16 to stored bfloat16; how many elements are done."""


class Sink(Protocol):
    """Where merged bytes go: the staging files of a checkpoint, or the parameters of a loaded model."""

    def take(self, name: str, start: int, data: memoryview) -> None:
        """Take the bytes of tensor `name` from byte `start` on; `data` is reused after the call."""

    def offset(self, name: str) -> int:
        """Where the tensor begins in its file: buffers are aligned to it."""

    def descriptor(self, name: str) -> int:
        """The open file of which `offset` tells, which a loop may write to by itself; IN_MEMORY where there is none."""

    def room(self, name: str, start: int, nbytes: int) -> memoryview | None:
        """The memory where these bytes belong, to be written at once instead of taken; None where there is none."""


class UnitWork:
    """Works on units of one evaluation. digests: whether inputs and output are digested on the way."""

    def __init__(self, evaluation: Evaluation, sink: Sink, *, rounding: str, seed: int, digests: bool) -> None:
        self.evaluation = evaluation
        self.job = evaluation.job
        self.sink = sink
        self.rounding = rounding
        self.digests = digests
        self.key = random_key(seed, self.job.name, "rounding")
        self._width = DTYPE_BYTES[self.job.dtype]
        roles = self.job.roles
        self._ends = (roles.general, roles.clinical) if roles else (0, len(self.job.inputs) - 1)
        self._offset = sink.offset(self.job.name)
        self._rounded: dict[str, Any] = {"rounding": rounding, "key": self.key}
        self._fused: Loop | None = None
        self._chosen = False

    def run(self, start: int, count: int, desk: Desk) -> Record:
        """Merge or copy elements `start` to `start + count`; all passes of the evaluation must be made."""
        if self.job.action == "copy":
            return self._copy(start, count, desk)
        if not self._chosen:
            self._fused, self._chosen = self._choose(), True
        return self._merge_fused(start, count, desk) if self._fused else self._merge(start, count, desk)

    # --- one loop for everything ---------------------------------------------------------------------------------

    def _choose(self) -> Loop | None:
        """The loop from stored bfloat16 to stored bfloat16, None where there is none.

        There is one for sums of two inputs, of three whose coefficients add up to 1, and of masked task vectors.
        """
        found, inputs = self.evaluation.coefficients, self.job.inputs
        if self.job.dtype != "BF16" or not self.evaluation.stored_bf16:
            return None
        if found is None:
            return self._masked(self.evaluation.masked) if self.evaluation.masked is not None else None
        if len(inputs) not in (2, 3):
            return None
        anchor, total = anchored(found)
        others = [i for i in range(len(inputs)) if i != anchor]
        if total != 1.0:
            return self._scaled(anchor, others[0], (total, found[others[0]])) if len(inputs) == 2 else None
        return self._pair(anchor, others[0], found) if len(inputs) == 2 else self._triple(anchor, others, found)

    def _pair(self, anchor: int, other: int, found: Sequence[float]) -> Loop:
        roles = self.job.roles
        clinical_is_anchor = roles is not None and roles.clinical == anchor
        a = float(np.float32(found[other]))
        share, sign = (1.0 - a, -1.0) if clinical_is_anchor else (a, 1.0)

        def loop(stream: Stream, sums: Sums, **where: Any) -> int:
            part = np.zeros(3)
            done = fused.pair_sum(stream.ordered((anchor, other)), a, sums=part, **where, **self._rounded)
            sums += (part[0], share * part[0], sign * part[2])
            return done

        return loop

    def _scaled(self, anchor: int, other: int, coefficients: tuple[float, float]) -> Loop:
        roles = self.job.roles
        flipped = (roles.clinical if roles is not None else 1) == anchor

        def loop(stream: Stream, sums: Sums, **where: Any) -> int:
            given = stream.ordered((anchor, other))
            return fused.scaled_pair_sum(
                given, coefficients, clinical_is_base=flipped, sums=sums, **where, **self._rounded
            )

        return loop

    def _triple(self, anchor: int, others: list[int], found: Sequence[float]) -> Loop:
        order = [anchor, *others]
        roles = self.job.roles
        at = (order.index(roles.general), order.index(roles.clinical)) if roles is not None else (0, 1)
        coefficients = (found[others[0]], found[others[1]])

        def loop(stream: Stream, sums: Sums, **where: Any) -> int:
            return fused.triple_sum(stream.ordered(order), coefficients, at, sums=sums, **where, **self._rounded)

        return loop

    def _masked(self, loops: MaskedLoops) -> Loop:
        how = loops.combined()

        def loop(stream: Stream, sums: Sums, *, start: int, count: int) -> int:
            masks, ends = loops.masks(start, count), self._ends
            return sparse_sum(stream, masks, how, ends, start=start, count=count, sums=sums, **self._rounded)

        return loop

    def _merge_fused(self, start: int, count: int, desk: Desk) -> Record:
        """A loop that reads and writes by itself does it all; where it stops, or digests are made, block by block."""
        assert self._fused is not None
        hashers = self._input_hashers()
        written = LeafHasher() if self.digests else None
        sums, bad_in, bad_out = np.zeros(3), np.zeros(len(self.job.inputs), np.int64), np.zeros(2, np.int64)
        stream = None if self.digests else self._stream(start, count, desk)
        done = self._fused(stream, sums, start=start, count=count) if stream is not None else 0
        for begin in range(start + done, start + count, FUSED_BLOCK):
            size = min(FUSED_BLOCK, start + count - begin)
            raws = self.evaluation.read_raw(begin, size, desk, hashers)
            out, data, placed = self._room(begin, size, desk)
            decided = self._fused(in_memory(raws, out), sums, start=begin, count=size)
            if decided < size:  # a value that is not finite, or one so large that its square is not
                counts = self._carefully(begin + decided, size - decided, desk, sums, out[decided:])
                bad_in, bad_out = bad_in + counts[0], bad_out + counts[1]
            if written is not None:
                written.update(data)
            if not placed:
                self.sink.take(self.job.name, begin * self._width, data)
        return self._record(hashers, written, sums, bad_in, bad_out)

    def _stream(self, start: int, count: int, desk: Desk) -> Stream | None:
        """Files to read and the place to write to; None where an input or the output is not one stretch."""
        begin = start * self._width
        found, target = self.evaluation.stream(start, count, desk), self.sink.descriptor(self.job.name)
        if found is None:
            return None
        if target != IN_MEMORY:
            offset = self._offset + begin
            out, _ = desk.raw("out", self.job.dtype, BLOCK, offset)
            return found._replace(output=out, target=target, begin=offset)
        room = self.sink.room(self.job.name, begin, count * self._width)
        return None if room is None else found._replace(output=np.frombuffer(room, STORED[self.job.dtype]))

    def _room(self, start: int, count: int, desk: Desk) -> tuple[NDArray[Any], memoryview, bool]:
        """Where elements are stored: the sink's own memory, or a buffer that it takes afterwards."""
        begin = start * self._width
        data = self.sink.room(self.job.name, begin, count * self._width)
        if data is not None:
            return np.frombuffer(data, STORED[self.job.dtype]), data, True
        out, data = desk.raw("out", self.job.dtype, count, self._offset + begin)
        return out, data, False

    def _carefully(
        self, start: int, count: int, desk: Desk, sums: Sums, stored: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The same block by single steps, counting what is not finite."""
        bad_in, bad_out = np.zeros(len(self.job.inputs), np.int64), np.zeros(2, np.int64)
        blocks = self.evaluation.blocks(start, count, desk)
        self._step(start, blocks.inputs, blocks, desk, sums, stored, bad_in, bad_out)
        return bad_in, bad_out

    # --- step by step ---------------------------------------------------------------------------------------------

    def _merge(self, start: int, count: int, desk: Desk) -> Record:
        hashers = self._input_hashers()
        aligned = self.evaluation.aligned(start, count) == (start, count)
        written = LeafHasher() if self.digests else None
        sums, bad_in, bad_out = np.zeros(3), np.zeros(len(self.job.inputs), np.int64), np.zeros(2, np.int64)
        for begin, size in self.evaluation.walk(start, count):
            low, high = max(begin, start), min(begin + size, start + count)
            blocks = self.evaluation.blocks(begin, size, desk, hashers if aligned else None)
            stored, data, placed = self._room(low, high - low, desk)
            self._step(low, blocks.inputs, blocks, desk, sums, stored, bad_in, bad_out)
            if written is not None:
                written.update(data)
            if not placed:
                self.sink.take(self.job.name, low * self._width, data)
        if hashers is not None and not aligned:
            self._hash_inputs(start, count, desk, hashers)
        return self._record(hashers, written, sums, bad_in, bad_out)

    def _step(
        self,
        low: int,
        inputs: Sequence[Block],
        blocks: Any,
        desk: Desk,
        sums: Sums,
        stored: NDArray[Any],
        bad_in: NDArray[np.int64],
        bad_out: NDArray[np.int64],
    ) -> None:
        """Combine whole blocks; round and measure the part from element `low` on that `stored` has room for."""
        backend = self.evaluation.backend
        size = len(inputs[0])
        out = backend.empty(desk.floats("out", size))
        self.evaluation.combine(blocks, out)
        part = slice(low - blocks.start, low - blocks.start + len(stored))
        general, clinical = self._ends
        values, back, found = out[part], desk.floats("back", size)[: len(stored)], np.zeros(3)
        backend.finish(
            values,
            (inputs[general][part], inputs[clinical][part]),
            self.job.dtype,
            rounding=self.rounding,
            key=self.key,
            start=low,
            stored=stored,
            back=back,
            sums=found,
        )
        sums += found
        if not np.isfinite(found).all():
            bad_in += backend.nonfinite([block[part] for block in inputs])
            bad_out[0] += kernels.count_nonfinite(back)
        else:  # the ends and the output are finite: the sums hold every element of them
            for other in range(len(inputs)):
                if other not in (general, clinical):
                    bad_in[other] += backend.nonfinite([inputs[other][part]])[0]
        if self.job.dtype == "F16":  # the others have the range of float32
            bad_out[1] += kernels.count_vanished(backend.host(values), back)

    def _hash_inputs(self, start: int, count: int, desk: Desk, hashers: Sequence[LeafHasher | None]) -> None:
        """Digest the inputs of a unit whose blocks overlap those of its neighbours."""
        for index, (info, hasher) in enumerate(zip(self.job.inputs, hashers, strict=True)):
            if hasher is None or not isinstance(info, TensorInfo):
                continue
            for begin in range(start, start + count, desk.elements):
                size = min(desk.elements, start + count - begin)
                offset = begin * DTYPE_BYTES[info.dtype]
                _, data = desk.raw(index, info.dtype, size, info.offset + offset)
                self.evaluation.reader_of(info).read_into(info, offset, data)
                hasher.update(data)

    # --- copies -----------------------------------------------------------------------------------------------------

    def _copy(self, start: int, count: int, desk: Desk) -> Record:
        """The bytes of one input; all inputs must hold the same ones (integer buffers cannot be averaged)."""
        hashers = self._input_hashers()
        written = LeafHasher() if self.digests else None
        step = max(1, 4 * desk.elements // self._width)
        for begin in range(start, start + count, step):
            nbytes = min(step, start + count - begin) * self._width
            first: memoryview | None = None
            for index, info in enumerate(self.job.inputs):
                assert isinstance(info, TensorInfo)
                data = memoryview(bytearray(nbytes))
                self.evaluation.reader_of(info).read_into(info, begin * self._width, data)
                if hashers is not None and (hasher := hashers[index]) is not None:
                    hasher.update(data)
                if first is not None and data != first:
                    must = f"A tensor of {self.job.dtype} must be the same in all models."
                    raise IncompatibleError(Problem(must, "different values", self.job.name))
                first = data
                if index == self.job.source:
                    if written is not None:
                        written.update(data)
                    self.sink.take(self.job.name, begin * self._width, data)
        return self._record(hashers, written, np.zeros(3), np.zeros(len(self.job.inputs), np.int64), np.zeros(2))

    # --- records ------------------------------------------------------------------------------------------------------

    def _input_hashers(self) -> list[LeafHasher | None] | None:
        if not self.digests:
            return None
        return [LeafHasher() if isinstance(given, TensorInfo) else None for given in self.job.inputs]

    def _record(
        self,
        hashers: Sequence[LeafHasher | None] | None,
        written: LeafHasher | None,
        sums: Sums,
        bad_in: NDArray[np.int64],
        bad_out: NDArray[Any],
    ) -> Record:
        return {
            "inputs": [list(h.leaves()) if h else None for h in hashers] if hashers is not None else None,
            "output": list(written.leaves()) if written is not None else None,
            "sums": sums.tolist(),
            "not_finite": [int(n) for n in bad_in],
            "overflow": int(bad_out[0]),
            "underflow": int(bad_out[1]),
            "arc": self.evaluation.arc,
        }
