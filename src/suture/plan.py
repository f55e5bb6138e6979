"""(Recipe, headers) -> Plan: ordered tensor jobs, bytes, every refusal; reads no weight and explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blake3 import blake3

from suture.checkpoint.donor import choose_donor, template_notes, vocabulary_digest
from suture.checkpoint.header import Checkpoint, TensorInfo, read_checkpoint
from suture.checkpoint.resolve import resolve_model
from suture.checkpoint.source import Input, stored_of
from suture.checkpoint.writer import Layout, lay_out
from suture.errors import IncompatibleError, Problem, SutureError, refuse
from suture.methods.registry import Method
from suture.recipe import Recipe

FLOATS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
NAMES = {safetensors: name for name, safetensors in FLOATS.items()}
SHOWN = 8


@dataclass(frozen=True, slots=True)
class TensorJob:
    """One tensor of the output.

    action "merge": `method` with `arguments` (its parameters for this tensor, keyed as it takes them) on `inputs` in
    the method's order, the base first where it has one; `information` holds one more for each non-base input, where
    the method asks for it. "copy": the bytes of inputs[source]; all inputs must hold the same ones. models: position of
    each input among the plan's checkpoints. roles: positions among `inputs` between which the realised coefficient is
    measured, None where not both take part.
    """

    name: str
    action: Literal["merge", "copy"]
    dtype: str
    shape: tuple[int, ...]
    inputs: tuple[Input, ...]
    method: Method
    arguments: Mapping[str, Any]
    models: tuple[int, ...]
    roles: Roles | None = None
    information: tuple[Input, ...] = ()
    source: int = 0


@dataclass(frozen=True, slots=True)
class Roles:
    """Positions of the two models between which the realised coefficient is measured."""

    general: int
    clinical: int


@dataclass(frozen=True)
class Plan:
    """Everything that a merge will do, before a weight is read.

    checkpoints stand in the method's order (the base first where it has one). roles is None where no two models are
    named. digest identifies the work: recipe, shapes, dtypes, names, donor.
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

    @property
    def donor_index(self) -> int:
        """Position of the donor among the inputs."""
        return self.recipe.inputs.index(self.donor)

    @property
    def bytes_read(self) -> int:
        """Bytes of one pass over all inputs."""
        return sum(info.nbytes for job in self.jobs for given in job.inputs for info in stored_of(given))

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
    problems = [*_config_problems(recipe.inputs, checkpoints), *_vocabulary_problems(folders)]
    if isinstance(donor, Problem):
        refuse(IncompatibleError, [*problems, *_tensor_problems(recipe.inputs, checkpoints), donor])
        raise AssertionError("unreachable: the donor's problem was raised")
    problems += _tensor_problems(recipe.inputs, checkpoints)
    refuse(IncompatibleError, problems)
    jobs = _jobs(recipe, checkpoints, recipe.inputs.index(donor))
    layout = lay_out([(job.name, job.dtype, job.shape) for job in jobs], recipe.max_shard_bytes)
    notes = tuple(template_notes(donor, folders))
    digest = _digest(recipe, jobs, donor)
    return Plan(recipe, recipe.arguments(), checkpoints, donor, jobs, layout, _roles(recipe), notes, digest)


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


def _tensor_problems(names: tuple[str, ...], checkpoints: tuple[Checkpoint, ...]) -> list[Problem]:
    """Return what keeps the tensors from corresponding: missing, reshaped, or of a dtype that is not read yet."""
    problems: list[Problem] = []
    everything = {tensor for checkpoint in checkpoints for tensor in checkpoint.tensors}
    for name, checkpoint in zip(names, checkpoints, strict=True):
        missing = sorted(everything - checkpoint.tensors.keys())
        if missing:
            must = "Every tensor must stand in every model."
            problems.append(Problem(must, f"{len(missing)} missing: {_some(missing)}", name))
        eighths = sorted(t for t, info in checkpoint.tensors.items() if info.dtype.startswith("F8"))
        if eighths:
            got = f"{len(eighths)} in fp8: {_some(eighths)}"
            problems.append(Problem("Weights must be F32, F16 or BF16.", got, name, "De-quantise the model first."))
    reshaped: dict[str, list[str]] = {}
    for tensor, info in checkpoints[0].tensors.items():
        for name, checkpoint in zip(names[1:], checkpoints[1:], strict=True):
            other = checkpoint.tensors.get(tensor)
            if other is not None and other.shape != info.shape:
                reshaped.setdefault(name, []).append(f"'{tensor}' {list(other.shape)} instead of {list(info.shape)}")
    for name, found in reshaped.items():
        must = f"Shapes must be those of {names[0]}."
        problems.append(Problem(must, f"{len(found)} others: {_some(found)}", name))
    return problems


def _jobs(recipe: Recipe, checkpoints: tuple[Checkpoint, ...], donor: int) -> tuple[TensorJob, ...]:
    """Return one job a tensor, in the order of the donor's files."""
    jobs: list[TensorJob] = []
    arguments, roles, models = recipe.arguments(), _roles(recipe), tuple(range(len(checkpoints)))
    for name, info in checkpoints[donor].tensors.items():
        inputs = tuple(checkpoint.tensors[name] for checkpoint in checkpoints)
        dtypes = {i.dtype for i in inputs}
        if dtypes <= set(NAMES):
            own = dtypes.pop() if len(dtypes) == 1 else "F32"
            written = FLOATS[recipe.written_dtype] if recipe.written_dtype else own
            jobs.append(TensorJob(name, "merge", written, info.shape, inputs, recipe.method, arguments, models, roles))
        else:
            method = recipe.method
            jobs.append(
                TensorJob(name, "copy", info.dtype, info.shape, inputs, method, arguments, models, source=donor)
            )
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
        "jobs": [_described(job) for job in jobs],
    }
    return blake3(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _described(job: TensorJob) -> list[Any]:
    inputs = [
        [i.dtype, i.shape] if isinstance(i, TensorInfo) else i.describe() for i in (*job.inputs, *job.information)
    ]
    return [job.name, job.action, job.dtype, job.shape, job.method.info.name, job.arguments, job.models, inputs]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
