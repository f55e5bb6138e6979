"""(Recipe, headers) -> Plan: ordered tensor jobs, bytes, every refusal; reads no weight and explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from blake3 import blake3

from suture.checkpoint.donor import choose_donor, template_notes, vocabulary_digest
from suture.checkpoint.header import Checkpoint, TensorInfo, read_checkpoint
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.resolve import resolve_model
from suture.checkpoint.scaled import FP8, find_scaled
from suture.checkpoint.writer import Layout, lay_out
from suture.errors import IncompatibleError, Problem, SutureError, refuse
from suture.ledger import Ledger, Line, make_ledger, natural_dtype
from suture.recipe import Recipe

FLOATS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
NAMES = {safetensors: name for name, safetensors in FLOATS.items()}
SHOWN = 8


@dataclass(frozen=True, slots=True)
class TensorJob:
    """One tensor of the output: merged from all inputs in the method's order, or copied from the donor."""

    name: str
    action: Literal["merge", "copy"]
    dtype: str
    inputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Roles:
    """Positions among the inputs of the two models between which the realised coefficient is measured."""

    general: int
    clinical: int


@dataclass(frozen=True)
class Plan:
    """Everything that a merge will do, before a weight is read.

    checkpoints stand in the method's order (the base first where it has one). roles is None where no two models are
    named. digest identifies the work: recipe, shapes, dtypes, names, donor. dropped: the tensors of inputs that the
    output does not have, each with its reason.
    """

    recipe: Recipe
    arguments: Mapping[str, Any]
    checkpoints: tuple[Checkpoint, ...]
    donor: str
    jobs: tuple[TensorJob, ...]
    layout: Layout
    roles: Roles | None
    notes: tuple[str, ...]
    digest: str
    dropped: tuple[Line, ...] = ()

    @property
    def donor_index(self) -> int:
        """Position of the donor among the inputs."""
        return self.recipe.inputs.index(self.donor)

    @property
    def bytes_read(self) -> int:
        """Bytes of one pass over all inputs."""
        return sum(info.nbytes for job in self.jobs for info in job.inputs)

    @property
    def bytes_written(self) -> int:
        """Bytes of the output's weight files."""
        return self.layout.nbytes

    @property
    def out_dtype(self) -> str | None:
        """The dtype of config.json: the recipe's, else the one that all merged tensors share, else None."""
        shared = {job.dtype for job in self.jobs if job.action == "merge"}
        return NAMES[shared.pop()] if len(shared) == 1 else self.recipe.written_dtype


def make_plan(recipe: Recipe, *, online: bool = False) -> Plan:
    """Read the headers of all models of `recipe` and return the plan.

    Raises BadInputError for models that are missing or malformed, IncompatibleError for models that do not fit: tensors
    that one lacks, shapes, vocabularies, architectures; in both cases all problems together.
    """
    folders = _resolve_all(recipe.inputs, online)
    checkpoints = _read_all(folders)
    donor = choose_donor(recipe.general, recipe.base_model, folders)
    at = 0 if isinstance(donor, Problem) else recipe.inputs.index(donor)
    ledger = make_ledger(recipe.inputs, checkpoints, at, [find_scaled(c) for c in checkpoints])
    problems = [*_config_problems(recipe.inputs, checkpoints), *_vocabulary_problems(folders)]
    problems += [*_fp8_problems(recipe.inputs, checkpoints), *ledger.problems]
    if isinstance(donor, Problem):
        refuse(IncompatibleError, [*problems, donor])
        raise AssertionError("unreachable: the donor's problem was raised")
    refuse(IncompatibleError, problems)
    refuse(IncompatibleError, _tie_problems(recipe.inputs, checkpoints, ledger))
    if ledger.config:
        changed = replace(checkpoints[at], config=MappingProxyType({**checkpoints[at].config, **ledger.config}))
        checkpoints = (*checkpoints[:at], changed, *checkpoints[at + 1 :])
    jobs = _jobs(recipe, ledger)
    layout = lay_out([(job.name, job.dtype, job.inputs[0].shape) for job in jobs], recipe.max_shard_bytes)
    notes = (*ledger.notes, *template_notes(donor, folders))
    digest = _digest(recipe, jobs, donor)
    return Plan(
        recipe, recipe.arguments(), checkpoints, donor, jobs, layout, _roles(recipe), notes, digest, ledger.dropped
    )


def _resolve_all(names: tuple[str, ...], online: bool) -> dict[str, Path]:
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    kind: type[SutureError] = SutureError
    for name in names:
        try:
            found[name] = resolve_model(name, online=online)
        except SutureError as error:
            problems += error.problems
            kind = type(error)
    refuse(kind, problems)
    return found


def _read_all(folders: Mapping[str, Path]) -> tuple[Checkpoint, ...]:
    found: list[Checkpoint] = []
    problems: list[Problem] = []
    kind: type[SutureError] = SutureError
    for folder in folders.values():
        try:
            found.append(read_checkpoint(folder))
        except SutureError as error:
            problems += error.problems
            kind = type(error)
    refuse(kind, problems)
    return tuple(found)


def _config_problems(names: tuple[str, ...], checkpoints: tuple[Checkpoint, ...]) -> list[Problem]:
    first = checkpoints[0].config
    return [
        Problem(
            f"All models must be of one architecture ({first.get('model_type')}).",
            str(c.config.get("model_type")),
            name,
        )
        for name, c in zip(names[1:], checkpoints[1:], strict=True)
        if c.config.get("model_type") != first.get("model_type")
    ]


def _vocabulary_problems(folders: Mapping[str, Path]) -> list[Problem]:
    digests = {name: vocabulary_digest(folder) for name, folder in folders.items()}
    present = {name: digest for name, digest in digests.items() if digest is not None}
    if len(set(present.values())) <= 1:
        return []
    got = f"{len(set(present.values()))} different vocabularies in {', '.join(present)}"
    return [Problem("All models must share one vocabulary.", got, "tokenizer.json", "Merge models of one tokenizer.")]


def _fp8_problems(names: tuple[str, ...], checkpoints: tuple[Checkpoint, ...]) -> list[Problem]:
    """Return a problem for each model in fp8, which the streaming loop does not read yet."""
    found = {n: [t for t, i in c.tensors.items() if i.dtype in FP8] for n, c in zip(names, checkpoints, strict=True)}
    do = "De-quantise the model first."
    return [
        Problem("Weights must be F32, F16 or BF16.", f"{len(fp8)} in fp8: {_some(fp8)}", name, do)
        for name, fp8 in found.items()
        if fp8
    ]


def _tie_problems(names: tuple[str, ...], checkpoints: tuple[Checkpoint, ...], ledger: Ledger) -> list[Problem]:
    """Return a problem for each stored head that its config ties to an embedding of other values.

    Only for such a head are weights read before the merge: dropping it unseen could lose what was trained.
    """
    problems = []
    for index, head, embedding in ledger.equal:
        with TensorReader(checkpoints[index]) as reader:
            if not reader.same_bytes(head, embedding):
                must = "A head that the config ties to the embedding must hold its values (tie_word_embeddings)."
                do = "Set tie_word_embeddings to false in config.json if the head was trained, else remove the head."
                problems.append(Problem(must, f"others in '{head.name}'", names[index], do))
    return problems


def _jobs(recipe: Recipe, ledger: Ledger) -> tuple[TensorJob, ...]:
    """Return one job a tensor of the output, in the order of the donor's files."""
    jobs: list[TensorJob] = []
    for line in ledger.kept:
        dtype = line.inputs[0].dtype
        if line.action == "merge":
            dtype = FLOATS[recipe.written_dtype] if recipe.written_dtype else natural_dtype(line.inputs)
        jobs.append(TensorJob(line.name, "merge" if line.action == "merge" else "copy", dtype, line.inputs))
    return tuple(jobs)


def _roles(recipe: Recipe) -> Roles | None:
    """Return where general and clinical stand: as named, else first and second of exactly two models."""
    names = recipe.inputs
    if recipe.general is not None and recipe.clinical is not None:
        return Roles(names.index(recipe.general), names.index(recipe.clinical))
    if len(names) == 2:
        first = names.index(recipe.general) if recipe.general is not None else 0
        if recipe.clinical is not None:
            first = 1 - names.index(recipe.clinical)
        return Roles(first, 1 - first)
    return None


def _digest(recipe: Recipe, jobs: tuple[TensorJob, ...], donor: str) -> str:
    described = {
        "recipe": recipe.model_dump(mode="json"),
        "donor": donor,
        "jobs": [[job.name, job.action, job.dtype, [[i.dtype, list(i.shape)] for i in job.inputs]] for job in jobs],
    }
    return blake3(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
