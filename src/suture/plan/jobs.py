"""What a plan is: one job a tensor, with all that it needs; inputs that are the results of earlier stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from blake3 import blake3

from suture.checkpoint.donor import donor_files
from suture.checkpoint.header import Checkpoint, TensorInfo
from suture.checkpoint.layout import Layout
from suture.checkpoint.source import Input, OpenSource, ReaderOf, stored_of
from suture.checkpoint.untrained import UntrainedRow
from suture.ledger import Line
from suture.methods.registry import Method
from suture.recipe import Recipe

FLOATS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
NAMES = {safetensors: name for name, safetensors in FLOATS.items()}


@dataclass(frozen=True, slots=True)
class Roles:
    """Positions of the two models between which the realised coefficient is measured."""

    general: int
    clinical: int


@dataclass(frozen=True, slots=True)
class TensorJob:
    """One tensor of the output.

    action "merge": `method` with `arguments` (its parameters for this tensor, keyed as it takes them) on `inputs` in
    the method's order, the base first where it has one; `information` holds one more for each non-base input, where
    the method asks for it (none at all for a tensor that has no such statistic). "copy": the bytes of inputs[source];
    all inputs must hold the same ones. models: position of each input in the plan's `models`. roles: positions among
    `inputs` between which the realised coefficient is measured, None where not both take part.
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

    def describe(self) -> list[Any]:
        """What identifies the job, as JSON."""
        inputs = [
            [given.dtype, given.shape] if isinstance(given, TensorInfo) else given.describe()
            for given in (*self.inputs, *self.information)
        ]
        method = self.method.info.name
        return [self.name, self.action, self.dtype, self.shape, method, dict(self.arguments), self.models, inputs]


@dataclass(frozen=True, slots=True)
class StagedInput:
    """The result of another job, as an input of this one; it is never written.

    rounding: "none" hands the float32 result on; the others round it to the job's dtype first, as if it had been
    written. seed: of the stage, for its draws and its rounding. The engine computes it from `job`.
    """

    job: TensorJob
    rounding: Literal["none", "nearest", "stochastic"]
    seed: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return self.job.shape

    @property
    def dtype(self) -> str:
        """The dtype in which the stage would write it; without rounding, values may lie between those of this dtype."""
        return self.job.dtype

    @property
    def stored(self) -> tuple[TensorInfo, ...]:
        """Every stored tensor behind it, each once."""
        given = (*self.job.inputs, *self.job.information)
        return tuple(dict.fromkeys(info for one in given for info in stored_of(one)))

    def open(self, reader_of: ReaderOf) -> OpenSource:
        """Always TypeError: passes over other tensors are the engine's matter."""
        raise TypeError("a staged input is computed by the engine, from its job")

    def describe(self) -> dict[str, object]:
        """What identifies it, as JSON."""
        return {"stage": self.job.describe(), "rounding": self.rounding, "seed": self.seed}


@dataclass(frozen=True)
class Plan:
    """Everything that a merge will do, before a weight is read.

    checkpoints: the folders that are read, one for each reference of the recipe in the order of its inputs, then those
    of its stages, then files of information; inputs: what they are called. models: the names that jobs count by: those
    references, then the stages.
    donor: which of `models` gives config and tokenizer; donor_index: its folder among the checkpoints. config: that of
    the output. files: small files of the output that replace the donor's, by name; not_copied: those of the donor that
    hold another vocabulary. roles: positions among `models`, None where no two models are named. dropped: what the
    ledger leaves out, with its reasons. untrained: rows of special tokens that another model gives.
    """

    recipe: Recipe
    checkpoints: tuple[Checkpoint, ...]
    inputs: tuple[str, ...]
    models: tuple[str, ...]
    donor: str
    donor_index: int
    config: Mapping[str, Any]
    files: Mapping[str, bytes]
    jobs: tuple[TensorJob, ...]
    layout: Layout
    roles: Roles | None
    notes: tuple[str, ...]
    dropped: tuple[Line, ...] = ()
    not_copied: tuple[str, ...] = ()
    untrained: tuple[UntrainedRow, ...] = ()

    @cached_property
    def digest(self) -> str:
        """What identifies the work: recipe, shapes, dtypes, names, donor."""
        described = {
            "recipe": self.recipe.model_dump(mode="json"),
            "donor": self.donor,
            "jobs": [job.describe() for job in self.jobs],
        }
        return blake3(json.dumps(described, sort_keys=True).encode()).hexdigest()

    @property
    def donor_folder(self) -> Path:
        """Where the donor's small files lie."""
        return self.checkpoints[self.donor_index].path

    def small_files(self) -> dict[str, bytes]:
        """The output's files beside the weights, name -> bytes: the donor's, with what the plan puts in their place."""
        given = donor_files(self.donor_folder, self.config, self.out_dtype)
        return {name: content for name, content in given.items() if name not in self.not_copied} | dict(self.files)

    @cached_property
    def bytes_read(self) -> int:
        """Bytes of one pass over all inputs."""
        return sum(info.nbytes for job in self.jobs for given in job.inputs for info in stored_of(given))

    @cached_property
    def by_name(self) -> Mapping[str, TensorJob]:
        """The jobs by the name of their tensor."""
        return {job.name: job for job in self.jobs}

    @cached_property
    def left_out(self) -> Mapping[str, Mapping[str, str]]:
        """For each model that is read, the tensors that nothing of the output is made of, with the reason."""
        reasons = {line.name: line.reason for line in self.dropped}
        used = {(i.file, i.name) for job in self.jobs for g in (*job.inputs, *job.information) for i in stored_of(g)}
        return {
            name: {
                info.name: reasons.get(info.name, "no tensor of the output is made of it")
                for info in checkpoint.tensors.values()
                if (info.file, info.name) not in used
            }
            for name, checkpoint in zip(self.inputs, self.checkpoints, strict=True)
        }

    @property
    def bytes_written(self) -> int:
        """Bytes of the output's weight files."""
        return self.layout.nbytes

    @property
    def out_dtype(self) -> str | None:
        """The dtype of config.json: the recipe's, else the one that all merged tensors share, else None."""
        shared = {job.dtype for job in self.jobs if job.action == "merge"}
        return NAMES[shared.pop()] if len(shared) == 1 else self.recipe.written_dtype
