"""execute(plan): the one streaming loop. Blocks of 2^16 elements, a few buffers a worker, whatever the size.

Every tensor is read once (twice where the method asks for a Gram matrix or statistics), merged in fp32, rounded once
and written at its place; inputs and output are digested, checked for finite values, and projected on the way from the
general to the clinical parent in the same pass.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from suture import __version__, events, kernels
from suture.checkpoint.digest import LeafHasher, TensorLeaves, combine_leaves, tokenizer_digest
from suture.checkpoint.donor import donor_files
from suture.checkpoint.header import DTYPE_BYTES
from suture.checkpoint.manifest import MANIFEST_NAME, InputModel, Manifest, Realised, TensorEntry
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.source import elements_of, stored_of
from suture.checkpoint.writer import CheckpointWriter, TensorSlot
from suture.errors import IncompatibleError, NumericError, Problem, refuse
from suture.methods.gram import Gram
from suture.methods.registry import Blocks, ElementwiseMethod, MatrixMethod, SpanMethod
from suture.numerics.keys import model_keys, random_key
from suture.plan import Plan, TensorJob

Floats = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]
STORED = {"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}


@dataclass(frozen=True)
class TensorResult:
    """What one job gave besides its bytes: digests, projections (dot, square) before and after rounding, findings."""

    output: TensorLeaves
    inputs: tuple[TensorLeaves, ...]
    entry: TensorEntry
    exact: Sums = field(default_factory=lambda: np.zeros(2))
    rounded: Sums = field(default_factory=lambda: np.zeros(2))
    problems: tuple[Problem, ...] = ()


def execute(plan: Plan, target: Path, *, workers: int | None = None) -> Manifest:
    """Merge as planned into the new folder `target` and return its manifest (which stands there as manifest.json).

    The result does not depend on `workers` (threads; default: one a core). Raises OutputExistsError, ResourceError,
    NumericError (values that are not finite, with tensor and count), IntegrityError (an input that changed);
    the target is then not there.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        readers = [stack.enter_context(TensorReader(checkpoint)) for checkpoint in plan.checkpoints]
        writer = stack.enter_context(CheckpointWriter(target, plan.layout))
        advance = stack.enter_context(events.track("merge", plan.bytes_read, "B"))
        results = _run(plan, readers, writer, advance, workers or os.cpu_count() or 1)
        refuse(NumericError, [problem for result in results.values() for problem in result.problems])
        for reader in readers:
            reader.check_unchanged()
        donor = plan.checkpoints[plan.donor_index]
        files = donor_files(donor.path, donor.config, plan.out_dtype)
        manifest = _manifest(plan, results, tokenizer_digest(donor.path), time.perf_counter() - started)
        writer.publish({**files, MANIFEST_NAME: manifest.to_json()})
    return manifest


def _run(
    plan: Plan, readers: list[TensorReader], writer: CheckpointWriter, advance: Any, workers: int
) -> dict[str, TensorResult]:
    """Run all jobs on threads (the kernels drop the interpreter lock), the largest first so that none is left alone."""
    by_info = {id(info): reader for reader in readers for info in reader.checkpoint.tensors.values()}
    stop = threading.Event()

    def work(job: TensorJob) -> TensorResult:
        if stop.is_set():
            raise InterruptedError
        stream = _TensorStream(plan, job, [by_info[id(info)] for info in job.inputs])
        run = stream.copy if job.action == "copy" else stream.merge
        result = run(writer, plan.layout.slots[job.name])
        advance(sum(info.nbytes for given in job.inputs for info in stored_of(given)))
        return result

    ordered = sorted(plan.jobs, key=lambda job: -elements_of(job.inputs[0]))
    with ThreadPoolExecutor(workers) as pool:
        try:
            return dict(zip((job.name for job in ordered), pool.map(work, ordered), strict=True))
        except BaseException:
            stop.set()
            raise


class _TensorStream:
    """One tensor on its way: its inputs' readers, its buffers, and the passes over its blocks."""

    def __init__(self, plan: Plan, job: TensorJob, readers: list[TensorReader]) -> None:
        self.plan = plan
        self.job = job
        self.readers = readers
        self.elements = job.inputs[0].elements
        size = min(self.elements, kernels.SEGMENT)
        if job.action == "merge":
            self._raw = [np.empty(size, STORED[info.dtype]) for info in job.inputs]
            self._wide = [np.empty(size, np.float32) for _ in job.inputs]
            self._out = np.empty(size, np.float32)
            self._stored = np.empty(size, STORED[job.dtype])
            self._back = np.empty(size, np.float32)

    def copy(self, writer: CheckpointWriter, slot: TensorSlot) -> TensorResult:
        """Copy the donor's bytes; all inputs must hold the same ones (integer buffers cannot be averaged)."""
        leaves: list[tuple[str, ...]] = []
        for index, (info, reader) in enumerate(zip(self.job.inputs, self.readers, strict=True)):
            hasher, start = LeafHasher(), 0
            for block in reader.blocks(info):
                hasher.update(block)
                if index == self.plan.donor_index:
                    writer.write(slot, start, block)
                start += len(block)
            leaves.append(hasher.leaves())
        if len(set(leaves)) > 1:
            must = f"A tensor of {self.job.dtype} must be the same in all models."
            raise IncompatibleError(Problem(must, "different values", self.job.name))
        digests = tuple((i.dtype, i.shape, found) for i, found in zip(self.job.inputs, leaves, strict=True))
        entry = TensorEntry("copied", self.job.dtype, slot.shape)
        return TensorResult(digests[self.plan.donor_index], digests, entry)

    def merge(self, writer: CheckpointWriter, slot: TensorSlot) -> TensorResult:
        """Merge the tensor by the plan's method; see the module docstring."""
        hashers = [LeafHasher() for _ in self.job.inputs]
        written = LeafHasher()
        exact, rounded = np.zeros(2), np.zeros(2)
        bad_in, bad_out = np.zeros(len(self.job.inputs), np.int64), 0
        combine, arc = self._prepare()
        key = random_key(self.plan.recipe.seed, self.job.name, "rounding")
        width = DTYPE_BYTES[self.job.dtype]
        for start, blocks in self._blocks(hashers):
            count = len(blocks[0])
            out, stored, back = self._out[:count], self._stored[:count], self._back[:count]
            combine(start, blocks, out)
            bad_in += [kernels.count_nonfinite(block) for block in blocks]
            kernels.narrow(out, self.job.dtype, stored, rounding=self.plan.recipe.rounding, key=key, start=start)
            kernels.widen(stored, self.job.dtype, back)
            bad_out += kernels.count_nonfinite(back)
            data = stored.data.cast("B")
            written.update(data)
            writer.write(slot, start * width, data)
            if self.plan.roles is not None:
                ends = blocks[self.plan.roles.general], blocks[self.plan.roles.clinical]
                exact += kernels.realised_sums(out, *ends)
                rounded += kernels.realised_sums(back, *ends)
        entry = TensorEntry("merged", self.job.dtype, slot.shape, _share(exact), _share(rounded), arc)
        inputs = tuple((i.dtype, i.shape, h.leaves()) for i, h in zip(self.job.inputs, hashers, strict=True))
        output = (self.job.dtype, slot.shape, written.leaves())
        problems = self._numeric_problems(bad_in, bad_out)
        return TensorResult(output, inputs, entry, exact, rounded, problems)

    def _blocks(self, hashers: list[LeafHasher] | None = None) -> Iterator[tuple[int, list[Floats]]]:
        """Yield (index of the first element, fp32 blocks of all inputs); `hashers` see the raw bytes in order."""
        for start in range(0, self.elements, kernels.SEGMENT):
            count = min(kernels.SEGMENT, self.elements - start)
            blocks = []
            for index, (info, reader) in enumerate(zip(self.job.inputs, self.readers, strict=True)):
                raw, wide = self._raw[index][:count], self._wide[index][:count]
                data = raw.data.cast("B")
                reader.read_into(info, start * DTYPE_BYTES[info.dtype], data)
                if hashers is not None:
                    hashers[index].update(data)
                kernels.widen(raw, info.dtype, wide)
                blocks.append(wide)
            yield start, blocks

    def _prepare(self) -> tuple[Any, bool | None]:
        """Make the passes that the method asks for; return (start, blocks, out) -> None, and if the arc is taken."""
        method, arguments = self.plan.recipe.method, self.plan.arguments
        if isinstance(method, SpanMethod):
            gram = self._gram() if method.needs_gram else None
            coefficients = method.weights(gram, len(self.job.inputs), **arguments)
            arc = method.takes_arc(gram) if method.takes_arc is not None and gram is not None else None
            return lambda _, blocks, out: kernels.weighted_sum(blocks, coefficients, out), arc
        if isinstance(method, ElementwiseMethod):
            return self._elementwise(method, arguments), None
        return self._matrix(method, arguments), None

    def _gram(self) -> Gram:
        total = np.zeros((len(self.job.inputs),) * 2)
        for _, blocks in self._blocks():
            total += kernels.gram_segment(blocks, 0)
        return Gram(total, 0)

    def _elementwise(self, method: ElementwiseMethod, arguments: Mapping[str, Any]) -> Any:
        seed, name = self.plan.recipe.seed, self.job.name
        keys = model_keys(seed, name, len(self.job.inputs) - method.info.first_model)
        reductions = method.statistics(**arguments)
        sums: dict[str, Sums] = {}
        if reductions:
            for start, wide in self._blocks():
                blocks = Blocks(wide, start, keys)
                for reduction in reductions:
                    found = reduction.measure(kernels, blocks, {}, **arguments)
                    sums[reduction.name] = sums[reduction.name] + found if reduction.name in sums else found
        return lambda start, wide, out: method.combine(kernels, Blocks(wide, start, keys), sums, out, **arguments)

    def _matrix(self, method: MatrixMethod, arguments: Mapping[str, Any]) -> Any:
        shape = self.job.inputs[0].shape
        whole = [np.empty(self.elements, np.float32) for _ in self.job.inputs]
        for start, blocks in self._blocks():
            for tensor, block in zip(whole, blocks, strict=True):
                tensor[start : start + len(block)] = block
        result = np.ascontiguousarray(method.matrix([tensor.reshape(shape) for tensor in whole], **arguments)).ravel()
        return lambda start, _, out: np.copyto(out, result[start : start + len(out)])

    def _numeric_problems(self, bad_in: npt.NDArray[np.int64], bad_out: int) -> tuple[Problem, ...]:
        must = "Weights must be finite."
        names = self.plan.recipe.inputs
        found = [
            Problem(must, f"{n} NaN or infinite values", f"{names[i]}, {self.job.name}")
            for i, n in enumerate(bad_in)
            if n
        ]
        if bad_out and not found:
            got = f"{bad_out} values beyond its range"
            found = [Problem(f"The result must fit {self.job.dtype}.", got, self.job.name, "Choose a wider out_dtype.")]
        return tuple(found)


def _share(sums: Sums) -> float | None:
    return float(sums[0] / sums[1]) if sums[1] > 0 else None


def _manifest(plan: Plan, results: Mapping[str, TensorResult], tokenizer: str, seconds: float) -> Manifest:
    names = plan.recipe.inputs
    inputs = []
    for index, name in enumerate(names):
        leaves = {job.name: results[job.name].inputs[index] for job in plan.jobs}
        inputs.append(InputModel(name, combine_leaves(leaves)))
    realised = None
    if plan.roles is not None:
        exact = np.sum([results[job.name].exact for job in plan.jobs], axis=0)
        rounded = np.sum([results[job.name].rounded for job in plan.jobs], axis=0)
        realised = Realised(names[plan.roles.general], names[plan.roles.clinical], _share(exact), _share(rounded))
    entries = {job.name: results[job.name].entry for job in plan.jobs}
    arcs = [entry.arc for entry in entries.values() if entry.arc is not None]
    return Manifest(
        version=__version__,
        method=plan.recipe.merge_method,
        recipe=plan.recipe.model_dump(exclude_defaults=True, mode="json"),
        donor=plan.donor,
        inputs=tuple(inputs),
        weights_digest=combine_leaves({job.name: results[job.name].output for job in plan.jobs}),
        tokenizer_digest=tokenizer,
        rounding=plan.recipe.rounding,
        seed=plan.recipe.seed,
        realised=realised,
        arc_tensors=sum(arcs) if arcs else None,
        tensors=entries,
        notes=plan.notes,
        seconds=seconds,
    )
