"""The study file: which models, merges, shots, tasks and margins, as frozen data; every problem is reported at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from suture.compare.verdicts import Margin
from suture.errors import Problem, UsageError
from suture.strict_yaml import (
    Document,
    MisfitError,
    Place,
    StrictModel,
    document_of,
    load_document,
    nearest,
    validated,
)
from suture.study.sections import (
    ANCESTOR,
    CLINICAL,
    GENERAL,
    Adapt,
    Ancestor,
    Control,
    Count,
    Data,
    Drawn,
    InContext,
    Merge,
    Orders,
    Parent,
    Parents,
)
from suture.study.tasks import LESSONS, SOURCES, known_tasks, writes
from suture.tasks.own import OwnTask, load_own_task
from suture.tasks.registry import is_suite_task
from suture.tasks.task import Task

Misfit = tuple[Place, str]


class TaskRun(StrictModel):
    """How much of a task is run: the first n items (else all), another limit of new tokens, a file of prompts."""

    n: Count | None = None
    new_tokens: Count | None = None
    path: str | None = None


class Evaluation(StrictModel):
    """What the models answer; ancestor and replicate name the tasks of the ancestor and of the A/A row.

    The A/A row is the general parent evaluated a second time: how much the measurement itself moves. `replicate: true`
    stands for every task.
    """

    tasks: Annotated[dict[str, TaskRun], Field(min_length=1)]
    ancestor: tuple[str, ...] = ()
    replicate: tuple[str, ...] = ()
    batch_size: Count = 32

    @field_validator("tasks")
    @classmethod
    def _known_tasks(cls, tasks: dict[str, TaskRun], info: ValidationInfo) -> dict[str, TaskRun]:
        known = info.context or known_tasks(())  # with the study's own tasks, known before its other keys are
        for name in tasks:
            if name not in known:
                raise ValueError(f"'{name}' must be a task; {nearest(name, known)}")
        return tasks

    @field_validator("replicate", mode="before")
    @classmethod
    def _every_task(cls, replicate: object, info: ValidationInfo) -> object:
        if isinstance(replicate, bool):
            return tuple(info.data.get("tasks", ())) if replicate else ()
        return replicate

    @model_validator(mode="after")
    def _among_tasks(self) -> Self:
        for name in (*self.ancestor, *self.replicate):
            if name not in self.tasks:
                raise ValueError(f"'{name}' must be one of the tasks evaluated; {nearest(name, self.tasks)}")
        return self


class GateRule(StrictModel):
    """On which task and metric the parents must differ; with `required`, no merge is evaluated where they do not."""

    instruction: tuple[str, str] = ("contrast", "contrast")
    notes: tuple[str, str]
    required: bool = True


class MarginEntry(StrictModel):
    """A margin as `suture.compare.verdicts.Margin` defines it."""

    axis: Literal["instruction", "medical", "clinical"]
    task: str
    metric: str
    value: Annotated[float, Field(gt=0)]
    reason: Annotated[str, Field(min_length=1)]
    planning_sd: Annotated[float, Field(gt=0)]
    planning_source: Annotated[str, Field(min_length=1)]

    def margin(self) -> Margin:
        """Return it as the comparison takes it."""
        return Margin(**self.model_dump())


class Study(StrictModel):
    """One study. tasks: task files of one's own. full holds the keys that the full protocol changes (`--full`).

    size: parameters of a model, for the cost of models that are not on this machine. dtype: that of the merges.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]
    title: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    size: Annotated[float, Field(gt=0)] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    ancestor: Ancestor | None = None
    data: Data = Data()
    tasks: tuple[OwnTask, ...] = ()
    parents: Parents
    controls: dict[str, Control] = Field(default_factory=dict)
    merges: Annotated[tuple[Merge, ...], Field(min_length=1)]
    record_rounding: Literal["bfloat16", "float16"] | None = None
    adapt: tuple[Adapt, ...] = ()
    in_context: tuple[InContext, ...] = ()
    orders: Orders | None = None
    evaluation: Evaluation
    gate: GateRule
    margins: tuple[MarginEntry, ...]
    full: dict[str, Any] = Field(default_factory=dict)

    @field_validator("adapt", "in_context", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = [*self._task_misfits(), *self._ancestor_misfits()]
        if not found:  # what follows asks what the tasks are
            found = [*self._data_misfits(), *self._label_misfits(), *self._order_misfits()]
        if found:
            raise MisfitError(found)
        return self

    def to_yaml(self) -> str:
        """Return the study as YAML, without what was left at its default."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False, width=120)

    @property
    def ends(self) -> dict[str, Parent]:
        """The parents by role."""
        return {GENERAL: self.parents.general, CLINICAL: self.parents.clinical}

    @cached_property
    def known(self) -> Mapping[str, Task]:
        """Every task that can be asked, by name."""
        return known_tasks(self.tasks)

    def task(self, name: str) -> Task:
        """Return a task with this study's limit of new tokens."""
        run, task = self.evaluation.tasks[name], self.known[name]
        return replace(task, max_new_tokens=run.new_tokens) if run.new_tokens else task

    def called(self, drawn: Drawn) -> str:
        """Return what tells one entry of adapt or in_context from the others in labels, "" where nothing need."""
        name = drawn.name if isinstance(drawn, Adapt) else ""
        return ", ".join(part for part in (drawn.task if len(self.learnt) > 1 else "", name) if part)

    @property
    def learnt(self) -> tuple[str, ...]:
        """The tasks whose training records are drawn from, to learn or to show."""
        return tuple(dict.fromkeys(drawn.task for _, drawn in self._drawn()))

    def _drawn(self) -> Iterator[tuple[Place, Drawn]]:
        """Yield every entry of adapt and in_context with its place in the file."""
        for key, entries in (("adapt", self.adapt), ("in_context", self.in_context)):
            for index, drawn in enumerate(entries):
                yield (key,) if len(entries) == 1 else (key, index), drawn

    def asked(self, adapt: Adapt) -> tuple[str, ...]:
        """Return the tasks that an adapted model answers: all but those that others are adapted to."""
        others = {other.task for other in self.adapt} - {adapt.task}
        return tuple(name for name in self.evaluation.tasks if name not in others)

    def _task_misfits(self) -> Iterator[Misfit]:
        for name, times in Counter(own.name for own in self.tasks).items():
            if times > 1:
                yield ("tasks",), f"two tasks are called '{name}'"
        known = self.known
        for place, drawn in self._drawn():
            if drawn.task not in known:
                yield (*place, "task"), f"'{drawn.task}' must be a task; {nearest(drawn.task, known)}"
            elif not writes(known[drawn.task]):
                yield (*place, "task"), "the task must have answers to learn, such as clinic_summary or mts_section"
            elif isinstance(drawn, InContext) and drawn.task not in self.evaluation.tasks:
                yield (*place, "task"), f"'{drawn.task}' must be one of evaluation.tasks"
        rules = {("gate", "instruction"): self.gate.instruction, ("gate", "notes"): self.gate.notes}
        rules |= {("margins", index): (margin.task, margin.metric) for index, margin in enumerate(self.margins)}  # type: ignore[misc]
        for where, (task, metric) in rules.items():
            name = "gate." + where[1] if where[0] == "gate" else f"margins[{where[1]}]"
            if task not in self.evaluation.tasks:
                yield where, f"{name} needs the task '{task}' among evaluation.tasks"
            elif metric not in known[task].metrics:
                yield where, f"'{metric}' must be a metric of {task}; {nearest(metric, known[task].metrics)}"

    def _ancestor_misfits(self) -> Iterator[Misfit]:
        if self.ancestor is not None:
            return
        for name, end in self.ends.items():
            if end.model is None:
                yield ("parents", name), f"without ancestor, {name} needs model"
        for index, merge in enumerate(self.merges):
            if merge.needs_ancestor:
                yield ("merges", index), f"without ancestor, {merge.label} has no base"
        if self.evaluation.ancestor:
            yield ("evaluation", "ancestor"), "without ancestor, evaluation.ancestor must be empty"
        for name, control in self.controls.items():
            if control.of == ANCESTOR:
                yield ("controls", name), "without ancestor, no control can start from it"

    def _data_misfits(self) -> Iterator[Misfit]:
        needed: dict[Place, tuple[str, str]] = {}
        for name in self.evaluation.tasks:
            if name in SOURCES or is_suite_task(name):
                needed["evaluation", "tasks", name] = f"task {name}", SOURCES.get(name, "folder")
        every: dict[str, Parent | Control] = {**self.ends, **self.controls}
        for name, taught in every.items():
            if taught.learn is not None:
                role = "parents" if name in self.ends else "controls"
                needed[role, name] = f"{role.removesuffix('s')} {name}", LESSONS[taught.learn]
        for place, drawn in self._drawn():
            if drawn.task in SOURCES or is_suite_task(drawn.task):
                needed[place] = str(place[0]), SOURCES.get(drawn.task, "folder")
        for index, adapt in enumerate(self.adapt):
            if adapt.replay and (self.data.instructions is None or self.data.instructions.train < adapt.replay):
                yield ("adapt", index), f"adapt.replay of {adapt.replay} needs as many of data.instructions.train"
        for place, (who, what) in needed.items():
            if getattr(self.data, what) is None:
                yield place, f"{who} needs data.{what}"

    def _label_misfits(self) -> Iterator[Misfit]:
        merged = [merge.label for merge in self.merges]
        starts = [GENERAL, CLINICAL, *self.controls, *merged, *([ANCESTOR] if self.ancestor else [])]
        for label, times in Counter(starts).items():
            if times > 1:
                kind = "two merges are" if label in merged and label not in self.controls else "two models are"
                yield ("merges",), f"{kind} called '{label}'"
        for place, drawn in self._drawn():
            for start in drawn.starts:
                if start not in starts:
                    told = f"{place[0]}.starts must name a parent, a control or a merge, got '{start}'"
                    yield (*place, "starts"), f"{told}; {nearest(start, starts)}"
        adapted = Counter(
            drawn.label(*point, self.called(drawn)) for _, drawn in self._drawn() for point in drawn.points()
        )
        twice = [label for label, times in adapted.items() if times > 1]
        if twice:
            yield ("adapt",), f"two models are called '{twice[0]}'; give one adaptation a name"

    def _order_misfits(self) -> Iterator[Misfit]:
        orders, adapt = self.orders, self.adapt[0] if self.adapt else None
        if orders is None:
            return
        if adapt is None or orders.shots not in adapt.shots:
            yield ("orders", "shots"), f"orders.shots must be one of adapt.shots, got {orders.shots}"
            return
        for start in (GENERAL, *([CLINICAL] if "tune both" in orders.arms else [])):
            if start not in adapt.starts:
                yield ("orders",), f"orders need {start} among adapt.starts"
        if "graft" in orders.arms and orders.merge.label not in [merge.label for merge in self.merges]:
            yield ("orders", "at"), f"orders graft on {orders.merge.label}, which must be one of the merges"


def load_study(path: Path, *, full: bool = False, data: str | None = None, ancestor: str | None = None) -> Study:
    """Read a study file. full applies its `full:` keys, data replaces the path of MTS-Dialog, ancestor the ancestor.

    Another ancestor renames the study. Raises BadInputError (no file) or UsageError with every problem.
    """
    document = _read(path)
    study, written = _held(document), deepcopy(document.data)
    whole = _overlaid(written, study.full | ({"name": f"{study.name}-full"} if study.full else {}))
    _reread(whole, f"{path}, full protocol")
    if data is not None and study.data.mts_dialog is None:
        must = "--data is for a study that reads MTS-Dialog."
        raise UsageError(Problem(must, "a study without data.mts_dialog", str(path), "Leave --data out."))
    chosen = whole if full else written
    if data is not None:
        chosen = _overlaid(chosen, {"data": {"mts_dialog": {"path": data}}})
    if ancestor is not None:
        called = Path(ancestor).name
        named = {"name": f"{chosen['name']}-on-{called.lower()}", "title": f"{study.title} (ancestor: {called})"}
        chosen = _overlaid(chosen, named) | {"ancestor": {"model": ancestor}}
    return study if chosen is written else _reread(chosen, str(path))


def _read(path: Path) -> Document:
    """Read a study file; in the place of each task file stand its keys, so that a kept study needs the file no more."""
    document = load_document(path)
    if not isinstance(document.data.get("tasks"), list):
        return document
    keys = [_task_keys(path.parent / one) if isinstance(one, str) else one for one in document.data["tasks"]]
    return replace(document, data=document.data | {"tasks": keys})


def _held(document: Document) -> Study:
    own = document.data.get("tasks")
    named = [str(keys.get("name")) for keys in own if isinstance(keys, dict)] if isinstance(own, list) else []
    return validated(document, Study, context={*known_tasks(()), *named})


def _task_keys(path: Path) -> dict[str, Any]:
    from suture.evaluate.textscores import NAMES

    return load_own_task(path, NAMES).model_dump(mode="json", exclude_defaults=True)


def _reread(written: Any, origin: str) -> Study:
    return _held(document_of(yaml.safe_dump(written, sort_keys=False), origin))


def _overlaid(base: Any, over: Any) -> Any:
    """Return `base` with the keys of `over` put over it, mapping by mapping."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: _overlaid(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}}
    return over
