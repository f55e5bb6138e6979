"""verify(folder): what an auditor does: digests compared with the manifest, tensors made again and compared."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suture import __version__, events
from suture.checkpoint.digest import checkpoint_digest, tokenizer_digest
from suture.checkpoint.header import DTYPE_BYTES, Checkpoint, TensorInfo, read_checkpoint
from suture.checkpoint.manifest import read_manifest
from suture.checkpoint.reader import TensorReader
from suture.errors import BadInputError, IntegrityError, Problem, SutureError, UsageError, refuse
from suture.merge import derive
from suture.plan import Plan, make_plan
from suture.recipe import Recipe, parse_recipe
from suture.strict_yaml import nearest


@dataclass(frozen=True)
class Verification:
    """What was verified and held. derived: names of the tensors that were made again, in the order of the files.

    tensors: count of the output's tensors. digests: whether the manifest names digests, which were compared then.
    notes: what could not be compared, and why.
    """

    derived: tuple[str, ...]
    tensors: int
    digests: bool
    notes: tuple[str, ...]


def verify(
    folder: Path,
    *,
    tensors: Collection[str] | None = (),
    online: bool = False,
    workers: int | None = None,
) -> Verification:
    """Compare the merged checkpoint in `folder` with its manifest, its recipe and its parents.

    Always: weights and tokenizer digest of the output, weights digests of all parents, names, dtypes and shapes, and
    the small files (config, tokenizer). tensors: names of those that are made again from the parents and compared byte
    by byte, None for all of them. Raises IntegrityError with everything that differs, tensor by tensor; BadInputError
    (no manifest, no parents), UsageError (a tensor that the output does not have).
    """
    manifest = read_manifest(folder)
    plan = make_plan(_recipe(manifest, folder), online=online)
    output = read_checkpoint(folder)
    names = _names(plan, tensors)
    problems = [*_layout_problems(plan, output), *_file_problems(plan, folder, manifest)]
    problems += _digest_problems(plan, output, manifest)
    compared = [name for name in names if name in output.tensors and _fits(plan, output.tensors[name])]
    problems += _derived_problems(plan, output, compared, workers or os.cpu_count() or 1)
    notes = _notes(manifest)
    if problems and manifest.get("version") != __version__:
        problems = [*problems, Problem("Bytes are promised for one version.", notes[0], str(folder))]
    refuse(IntegrityError, problems)
    return Verification(tuple(names), len(plan.jobs), manifest.get("weights_digest") is not None, notes)


def _recipe(manifest: dict[str, Any], folder: Path) -> Recipe:
    try:
        return parse_recipe(json.dumps(manifest["recipe"]), str(folder / "manifest.json"))
    except (KeyError, TypeError):
        raise BadInputError(Problem("A manifest must hold its recipe.", "none", str(folder))) from None
    except UsageError as error:  # the file is at fault, not the command
        raise BadInputError(*error.problems) from None


def _names(plan: Plan, asked: Collection[str] | None) -> list[str]:
    known = [job.name for job in plan.jobs]
    if asked is None:
        return known
    unknown = [name for name in asked if name not in set(known)]
    must = "A tensor to verify must be one of the output."
    refuse(UsageError, [Problem(must, f"'{name}'", "--tensor", nearest(name, known)) for name in unknown])
    return [name for name in known if name in set(asked)]


def _layout_problems(plan: Plan, output: Checkpoint) -> list[Problem]:
    """Compare the sets of tensors, their dtypes and shapes."""
    planned = {job.name: job for job in plan.jobs}
    must = "The tensors must be those that recipe and parents give."
    problems = [Problem(must, "one that is not among them", name) for name in output.tensors if name not in planned]
    for name, job in planned.items():
        info = output.tensors.get(name)
        if info is None:
            problems.append(Problem(must, "none", name))
        elif not _fits(plan, info):
            got = f"{info.dtype} {list(info.shape)} instead of {job.dtype} {list(job.shape)}"
            problems.append(Problem(must, got, name))
    return problems


def _fits(plan: Plan, info: TensorInfo) -> bool:
    slot = plan.layout.slots.get(info.name)
    return slot is not None and (slot.dtype, slot.shape) == (info.dtype, info.shape)


def _file_problems(plan: Plan, folder: Path, manifest: dict[str, Any]) -> list[Problem]:
    """Compare config, tokenizer and the other small files with what the donor gives."""
    must = "The file must be what recipe and donor give."
    problems = []
    for name, content in plan.small_files().items():
        file = folder / name
        if not file.is_file() or file.read_bytes() != content:
            problems.append(Problem(must, "other bytes" if file.is_file() else "none", str(file)))
    if tokenizer_digest(folder) != manifest.get("tokenizer_digest"):
        problems.append(Problem("The tokenizer must be the one that the manifest names.", "another", str(folder)))
    return problems


def _digest_problems(plan: Plan, output: Checkpoint, manifest: dict[str, Any]) -> list[Problem]:
    """Compare the weights digests of output and parents; each is skipped where the manifest names none."""
    said = {str(given["model"]): given["weights_digest"] for given in manifest.get("inputs", ())}
    models = zip(plan.inputs, plan.checkpoints, strict=True)
    asked: list[tuple[str, Checkpoint, str | None]] = [(name, found, said.get(name)) for name, found in models]
    asked.append((str(output.path), output, manifest.get("weights_digest")))
    asked = [(name, found, digest) for name, found, digest in asked if digest is not None]
    problems = []
    with events.track("digests", len(asked), "models") as advance:
        for name, found, digest in asked:
            if checkpoint_digest(found) != digest:
                problems.append(Problem("The weights must be those that the manifest names.", "others", name))
            advance(1)
    return problems


def _derived_problems(plan: Plan, output: Checkpoint, names: Sequence[str], workers: int) -> list[Problem]:
    """Make the tensors again and compare; one problem a tensor that differs."""
    total = sum(output.tensors[name].nbytes for name in names)
    with (
        TensorReader(output) as reader,
        events.track("derive", total, "B") as advance,
        ThreadPoolExecutor(workers) as pool,
    ):
        found = pool.map(lambda name: _compare(derive(plan, name), reader, output.tensors[name], advance), names)
        return [problem for problem in found if problem is not None]


def _compare(
    derived: Iterator[bytes], reader: TensorReader, info: TensorInfo, advance: Callable[[int], None]
) -> Problem | None:
    width = DTYPE_BYTES[info.dtype]
    start, differing, first = 0, 0, -1
    try:
        for data in derived:
            written = bytearray(len(data))
            reader.read_into(info, start, memoryview(written))
            if written != data:
                pairs = (np.frombuffer(given, np.uint8).reshape(-1, width) for given in (written, data))
                other = np.flatnonzero(np.not_equal(*pairs).any(axis=1))
                differing += len(other)
                first = first if first >= 0 else start // width + int(other[0])
            start += len(data)
            advance(len(data))
    except SutureError as error:
        return error.problems[0]
    if not differing:
        return None
    got = f"{differing:,} of {info.nbytes // width:,} values that differ, the first at {first:,}"
    return Problem("A tensor must be what recipe and parents give.", got, info.name)


def _notes(manifest: dict[str, Any]) -> tuple[str, ...]:
    notes = []
    if manifest.get("version") != __version__:
        notes.append(f"merged by version {manifest.get('version')}, verified by {__version__}")
    if manifest.get("weights_digest") is None:
        notes.append("the merge was made without digests: only tensors that are derived are compared")
    return tuple(notes)
