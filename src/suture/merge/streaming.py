"""execute(plan): the one streaming loop. A few buffers a worker, whatever the size of the model.

Every tensor is read once (once more for each pass that its method asks for), merged in fp32, rounded once and written
at its place; inputs and output are digested, checked for finite values, and projected on the way from the general to
the clinical parent in the same pass. A journal keeps what is finished: a run that was stopped goes on where it stood.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture import __version__, events
from suture.card import CARD_NAME, model_card
from suture.checkpoint.digest import tokenizer_files_digest
from suture.checkpoint.header import DTYPE_BYTES, TensorInfo
from suture.checkpoint.layout import Layout, Unit
from suture.checkpoint.manifest import MANIFEST_NAME, Manifest
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.source import ReaderOf, stored_of
from suture.checkpoint.writer import CheckpointWriter
from suture.errors import NumericError, Problem, UsageError, refuse
from suture.merge.backend import Backend, KernelBackend
from suture.merge.evaluation import Evaluation
from suture.merge.gram_cache import GramCache
from suture.merge.record import TensorRecords, input_digests, make_manifest, numeric_problems
from suture.merge.schedule import OpenTensor, Schedule
from suture.merge.unit import FUSED_BLOCK, Record, Sink, UnitWork
from suture.plan import Plan


class _StagingSink:
    """Writes into the staging files of a checkpoint."""

    def __init__(self, writer: CheckpointWriter, layout: Layout) -> None:
        self._writer = writer
        self._slots = layout.slots

    def take(self, name: str, start: int, data: memoryview) -> None:
        self._writer.write(self._slots[name], start, data)

    def room(self, name: str, start: int, nbytes: int) -> None:
        return None

    def descriptor(self, name: str) -> int:
        return self._writer.descriptor(self._slots[name])

    def offset(self, name: str) -> int:
        return self._slots[name].offset


def execute(
    plan: Plan,
    target: Path,
    *,
    workers: int | None = None,
    backend: Backend | None = None,
    digests: bool = True,
    sync: bool = True,
    overwrite: bool = False,
    restart: bool = False,
    allow: Collection[str] = (),
    cache: Path | None = None,
) -> Manifest:
    """Merge as planned into the folder `target` and return its manifest (which stands there as manifest.json).

    The bytes do not depend on `workers` (threads; default: one a core), nor on having been interrupted: after a kill,
    Ctrl-C, a full disk or an I/O error the same call goes on with what is finished. digests=False leaves the digests of
    inputs and output out; sync=False leaves out all fsync. overwrite swaps an earlier merge for this one at the end.
    restart gives up the unfinished work of another recipe. allow: findings that are let pass ("nonfinite", "overflow",
    "underflow"). cache: the folder in which Gram matrices of parents are kept, None for none. Raises OutputExistsError,
    ResourceError, NumericError (values that are not finite or vanish, with tensor and count), IntegrityError (an input
    that changed); the target is then as it was before.
    """
    _refuse_inputs(plan, target)
    backend = backend or KernelBackend()
    started = time.perf_counter()
    with ExitStack() as stack:
        readers = [stack.enter_context(TensorReader(checkpoint)) for checkpoint in plan.checkpoints]
        parts = run_parts(plan, readers, backend, digests=digests)
        key = blake3(json.dumps([__version__, parts]).encode()).hexdigest()
        writer = stack.enter_context(
            CheckpointWriter(target, plan.layout, key=key, parts=parts, overwrite=overwrite, sync=sync, restart=restart)
        )
        grams = GramCache(cache, readers, plan.jobs) if cache is not None else None
        held = grams.grams if grams is not None else None
        records = _run(plan, readers, writer, workers or os.cpu_count() or 1, backend, digests, held)
        problems = numeric_problems(plan, records, allow)
        if problems:
            writer.discard()
        refuse(NumericError, problems)
        inputs = input_digests(plan, records, readers) if digests else None
        for reader in readers:
            reader.check_unchanged()
        if grams is not None:
            if grams.stale(inputs):
                writer.discard()
            grams.check(inputs)
            grams.save(inputs)
        files = plan.small_files()
        seconds = time.perf_counter() - started
        manifest = make_manifest(plan, records, inputs, tokenizer_files_digest(files), seconds)
        card = model_card(plan, title=target.name)
        writer.publish({**files, CARD_NAME: card, MANIFEST_NAME: manifest.to_json()})
    return manifest


def run_parts(plan: Plan, readers: list[TensorReader], backend: Backend, *, digests: bool) -> dict[str, str]:
    """What an unfinished run must agree on to be continued, each by name: recipe, every input's files, arithmetic."""
    parts = {"recipe": plan.digest, "arithmetic": type(backend).__name__, "digests": str(digests)}
    for name, reader in zip(plan.inputs, readers, strict=True):
        parts[f"parent {name}"] = blake3(reader.identity().encode()).hexdigest()
    return parts


def _refuse_inputs(plan: Plan, target: Path) -> None:
    """Raise UsageError where the output would take the place of one of its inputs."""
    must = "The output must not be one of the inputs."
    refuse(
        UsageError,
        [
            Problem(must, name, str(target), "Choose another folder.")
            for name, checkpoint in zip(plan.inputs, plan.checkpoints, strict=True)
            if checkpoint.path.resolve() == target.resolve()
        ],
    )


def reader_lookup(readers: list[TensorReader]) -> ReaderOf:
    """Return the function from a stored tensor to the open reader of its checkpoint."""
    by_file = {file: reader for reader in readers for file in reader.checkpoint.files}
    return lambda info: by_file[info.file]


def _run(
    plan: Plan,
    readers: list[TensorReader],
    writer: CheckpointWriter,
    workers: int,
    backend: Backend,
    digests: bool,
    grams: dict[str, Any] | None,
) -> Mapping[str, TensorRecords]:
    records = {job.name: TensorRecords() for job in plan.jobs}
    for index, record in writer.finished.items():
        records[plan.layout.units[index].name].add(plan.layout.units[index], record)
    left = {
        name: tuple(unit for unit in units if unit.index not in writer.finished)
        for name, units in plan.layout.units_of.items()
    }
    sink = _StagingSink(writer, plan.layout)
    reader_of = reader_lookup(readers)
    widths = {job.name: sum(_bytes_per_element(given) for given in job.inputs) for job in plan.jobs}

    with events.track("merge", plan.bytes_read, "B") as advance:

        def done(unit: Unit, record: Record) -> None:
            records[unit.name].add(unit, record)
            writer.done(unit.index, record)
            advance(unit.count * widths[unit.name])

        advance(sum(plan.layout.units[i].count * widths[plan.layout.units[i].name] for i in writer.finished))
        opened = open_tensors(plan, reader_of, backend, sink, digests=digests, left=left, grams=grams)
        Schedule(opened, done).run(workers, max(FUSED_BLOCK, backend.block_elements))
    return records


def merge_into(
    plan: Plan,
    readers: list[TensorReader],
    sink: Sink,
    records: Mapping[str, TensorRecords],
    *,
    workers: int | None = None,
    backend: Backend | None = None,
    grams: dict[str, Any] | None = None,
) -> None:
    """Merge everything into `sink`, without digests. grams: Gram matrices by tensor, used where there, else filled."""
    left = plan.layout.units_of
    backend = backend or KernelBackend()
    opened = open_tensors(plan, reader_lookup(readers), backend, sink, digests=False, left=left, grams=grams)

    def done(unit: Unit, record: Record) -> None:
        records[unit.name].add(unit, record)

    Schedule(opened, done).run(workers or os.cpu_count() or 1, max(FUSED_BLOCK, backend.block_elements))


def open_tensors(
    plan: Plan,
    reader_of: ReaderOf,
    backend: Backend,
    sink: Sink,
    *,
    digests: bool,
    left: Mapping[str, tuple[Unit, ...]],
    grams: dict[str, Any] | None = None,
) -> Iterator[OpenTensor]:
    """Yield each tensor that has units left, opened when it is asked for."""
    seed, rounding = plan.recipe.seed, plan.recipe.rounding
    for job in plan.jobs:
        if left[job.name]:
            evaluation = Evaluation(job, reader_of, backend, seed, grams)
            work = UnitWork(evaluation, sink, rounding=rounding, seed=seed, digests=digests)
            yield OpenTensor(evaluation, work, left[job.name])


def _bytes_per_element(given: Any) -> int:
    return sum(DTYPE_BYTES[info.dtype] for info in stored_of(given)) if isinstance(given, TensorInfo) else 4
