"""Records of units, put together: tensors, digests of the inputs, what is refused, the manifest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from suture import __version__
from suture.checkpoint.digest import LeafHasher, TensorLeaves, combine_leaves
from suture.checkpoint.header import TensorInfo
from suture.checkpoint.layout import Unit
from suture.checkpoint.manifest import InputModel, Manifest, Realised, TensorEntry
from suture.checkpoint.reader import TensorReader
from suture.errors import Problem
from suture.merge.unit import Record
from suture.plan import Plan, TensorJob


@dataclass
class TensorRecords:
    """The records of one tensor's units, by the start of the unit."""

    by_start: dict[int, Record] = field(default_factory=dict)

    def add(self, unit: Unit, record: Record) -> None:
        """Keep the record of a unit."""
        self.by_start[unit.start] = record

    @property
    def ordered(self) -> list[Record]:
        """The records in the order of the tensor's elements."""
        if len(self.by_start) == 1:
            return list(self.by_start.values())
        return [self.by_start[start] for start in sorted(self.by_start)]

    @property
    def sums(self) -> NDArray[np.float64]:
        """|d|^2, (before rounding - general).d, (written - before rounding).d, with d = clinical - general."""
        total = np.zeros(3)
        for record in self.ordered:
            total += record["sums"]
        return total

    @property
    def arc(self) -> bool | None:
        """Whether the tensor took the arc."""
        return next((record["arc"] for record in self.by_start.values()), None)

    def leaves(self) -> list[str]:
        """The digests of the output's leaves."""
        return [leaf for record in self.ordered for leaf in record["output"] or ()]

    def input_leaves(self, index: int) -> list[str] | None:
        """The digests of the leaves of input `index`; None where it is not a stored tensor as it is."""
        found: list[str] = []
        for record in self.ordered:
            if record["inputs"] is None or record["inputs"][index] is None:
                return None
            found += record["inputs"][index]
        return found


def numeric_problems(plan: Plan, records: Mapping[str, TensorRecords], allow: Collection[str]) -> list[Problem]:
    """Return what may not be published: values that are not finite, that overflow, that vanish; tensor and count."""
    problems: list[Problem] = []
    for job in plan.jobs:
        ordered = records[job.name].ordered
        bad = np.sum([record["not_finite"] for record in ordered], axis=0) if ordered else np.zeros(0)
        if "nonfinite" not in allow:
            problems += [_not_finite(plan, job, i, int(n)) for i, n in enumerate(bad) if n]
        over, under = (sum(record[kind] for record in ordered) for kind in ("overflow", "underflow"))
        if over and not np.any(bad) and "overflow" not in allow:
            problems.append(_beyond(job, f"{over} values beyond its range", "overflow"))
        if under and "underflow" not in allow:
            problems.append(_beyond(job, f"{under} values that are not 0 and become 0", "underflow"))
    return problems


def _not_finite(plan: Plan, job: TensorJob, index: int, count: int) -> Problem:
    where = f"{plan.models[job.models[index]]}, {job.name}"
    return Problem("Weights must be finite.", f"{count} NaN or infinite values", where)


def _beyond(job: TensorJob, got: str, kind: str) -> Problem:
    advice = f"Choose a wider out_dtype, or --allow {kind}."
    return Problem(f"The result must fit {job.dtype}.", got, job.name, advice)


def input_digests(plan: Plan, records: Mapping[str, TensorRecords], readers: Sequence[TensorReader]) -> tuple[str, ...]:
    """Return the weights digest of each input model: what was read while merging, and a look at what was not."""
    seen: list[dict[str, TensorLeaves]] = [{} for _ in plan.checkpoints]
    for job in plan.jobs:
        for index, (given, model) in enumerate(zip(job.inputs, job.models, strict=True)):
            leaves = records[job.name].input_leaves(index) if isinstance(given, TensorInfo) else None
            if leaves is not None and isinstance(given, TensorInfo):
                seen[model][given.name] = (given.dtype, given.shape, leaves)
    for found, reader in zip(seen, readers, strict=True):
        for info in reader.checkpoint.tensors.values():
            if info.name not in found:
                hasher = LeafHasher()
                for block in reader.blocks(info):
                    hasher.update(block)
                found[info.name] = (info.dtype, info.shape, hasher.leaves())
    return tuple(combine_leaves(found) for found in seen)


def make_manifest(
    plan: Plan,
    records: Mapping[str, TensorRecords],
    inputs: tuple[str, ...] | None,
    tokenizer: str,
    seconds: float,
) -> Manifest:
    """Return the manifest of a finished merge. inputs: weights digests, None where digests were left out."""
    entries = {job.name: _entry(job, records[job.name]) for job in plan.jobs}
    arcs = [entry.arc for entry in entries.values() if entry.arc is not None]
    digest = None
    if inputs is not None:
        digest = combine_leaves({job.name: (job.dtype, job.shape, records[job.name].leaves()) for job in plan.jobs})
    return Manifest(
        version=__version__,
        method=plan.recipe.merge_method,
        recipe=plan.recipe.model_dump(exclude_defaults=True, mode="json"),
        donor=plan.donor,
        inputs=tuple(InputModel(name, inputs[i] if inputs is not None else None) for i, name in enumerate(plan.inputs)),
        weights_digest=digest,
        tokenizer_digest=tokenizer,
        rounding=plan.recipe.rounding,
        seed=plan.recipe.seed,
        realised=_realised(plan, records),
        arc_tensors=sum(arcs) if arcs else None,
        tensors=entries,
        dropped={name: found for name, found in plan.left_out.items() if found},
        untrained=tuple(asdict(row) for row in plan.untrained),
        notes=plan.notes,
        seconds=seconds,
    )


def _entry(job: TensorJob, found: TensorRecords) -> TensorEntry:
    if job.action == "copy":
        return TensorEntry("copied", job.dtype, job.shape)
    nominal, realised = shares(found.sums) if job.roles is not None else (None, None)
    return TensorEntry("merged", job.dtype, job.shape, nominal, realised, found.arc)


def _realised(plan: Plan, records: Mapping[str, TensorRecords]) -> Realised | None:
    merged = [job for job in plan.jobs if job.action == "merge" and job.roles is not None]
    if plan.roles is None or not merged:
        return None
    nominal, realised = shares(np.sum([records[job.name].sums for job in merged], axis=0))
    names = plan.models
    return Realised(names[plan.roles.general], names[plan.roles.clinical], nominal, realised)


def shares(sums: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return (nominal, realised) coefficients from the three sums; None where the parents are equal or not finite."""
    if not (sums[0] > 0 and np.isfinite(sums).all()):
        return None, None
    return float(sums[1] / sums[0]), float((sums[1] + sums[2]) / sums[0])
