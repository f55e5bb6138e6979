"""What a study costs before it runs: core seconds and disk by kind of step, from rates measured once or by this study.

The rates are those of one core (AVX2, fp32) at 135 million parameters, which every step's own guess is made of; they
scale with the number of parameters. Where steps of a kind are finished in the study's folder, their mean counts
instead. Either may be wrong by a factor of two: it tells an evening from a week.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.resolve import resolve_model
from suture.errors import SutureError
from suture.study.graph import Graph, Step
from suture.study.schema import Study
from suture.study.store import Done
from suture.study.work import PADDED, Device, Work, adapter_parameters, hours, work_of

REFERENCE = 135e6  # parameters at which the steps' own costs were guessed
WEIGHED = ("train", "adapt", "evaluate", "merge", "rounding", "answers")  # kinds whose work grows with the model
KEPT = ("ancestor", "train", "adapt", "merge")  # kinds that leave a checkpoint
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Cost:
    """One kind of step: how many there are, how many to do, core seconds and bytes of these; measured here or guessed.

    measured: the rate is the mean of this study's own finished steps. work: the tokens of the steps to do.
    """

    kind: str
    steps: int
    left: int
    seconds: float
    disk: float
    measured: bool
    work: tuple[Work, ...] = ()


def costs(study: Study, graph: Graph, found: Mapping[str, Done], *, speed: float = 1.0) -> tuple[Cost, ...]:
    """Return the cost of every kind of step that takes a second or more, the dearest first.

    found: finished steps. speed: of this machine's cores beside those of the rates (`suture.study.speed`), by which
    what is guessed is divided.
    """
    parameters = parameters_of(study)
    kinds = dict.fromkeys(step.kind for step in graph)
    limits = {name: study.task(name).max_new_tokens for name in study.evaluation.tasks}
    rows = [
        _cost(kind, [step for step in graph if step.kind == kind], found, parameters, limits, speed) for kind in kinds
    ]
    return tuple(sorted((row for row in rows if row.seconds >= 1), key=lambda row: -row.seconds))


def parameters_of(study: Study) -> float:
    """Return the number of parameters of a study's models: of the first folder that is there, else what it states.

    That of SmolLM2 where it states none.
    """
    for reference in _references(study):
        try:
            tensors = read_checkpoint(resolve_model(reference)).tensors.values()
        except SutureError:
            continue
        return float(sum(info.elements for info in tensors))
    return study.size or REFERENCE


def _references(study: Study) -> Iterator[str]:
    if study.ancestor is not None and study.ancestor.model is not None:
        yield study.ancestor.model
    yield from (end.model for end in study.ends.values() if end.model is not None)


def accelerator_hours(study: Study, rows: Iterable[Cost], device: Device) -> dict[str, float]:
    """Return, by kind of step, the hours that what is left takes on one `device`, of the kinds that run a model."""
    parameters, batch = parameters_of(study), study.evaluation.batch_size
    found = {row.kind: sum(hours(work, parameters, device, batch) for work in row.work) for row in rows}
    return {kind: taken for kind, taken in found.items() if taken}


def _cost(
    kind: str,
    steps: list[Step],
    found: Mapping[str, Done],
    parameters: float,
    limits: Mapping[str, int],
    speed: float,
) -> Cost:
    left = [step for step in steps if step.name not in found]
    ran = [(step, found[step.name].seconds) for step in steps if step.name in found and found[step.name].seconds >= 1]
    scale = (parameters / REFERENCE if kind in WEIGHED else 1.0) / speed
    if ran:  # seconds a unit of the steps' own guess, which ranks them well and measures them badly
        scale = sum(seconds for _, seconds in ran) / sum(step.cost for step, _ in ran)
    elif kind in ("train", "adapt"):
        scale *= PADDED
    disk = sum(_bytes(step, parameters) for step in left) if kind in KEPT else 0.0
    work = tuple(work_of(step, limits) for step in left)
    return Cost(kind, len(steps), len(left), scale * sum(step.cost for step in left), disk, bool(ran), work)


def _bytes(step: Step, parameters: float) -> float:
    """Return what a step leaves on disk: a model in its dtype, or an adapter alone, which is always fp32."""
    about = step.parameters
    if about.get("keep") != "adapter":
        return BYTES[about.get("dtype", "float32")] * parameters
    settings = about["settings"]
    targets = settings.get("lora_targets", "all-linear")
    return BYTES["float32"] * adapter_parameters(parameters, settings["lora_rank"], targets)


def free_disk(folder: Path) -> int:
    """Return the free bytes of the file system that `folder` is or will be on."""
    import shutil

    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
