"""The study file: which models, merges, shots, tasks and margins, as frozen data; every problem is reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from suture.adapt.settings import Settings
from suture.compare.verdicts import Margin
from suture.errors import Problem, SutureError, UsageError
from suture.recipe import Recipe, Value, parse_recipe
from suture.strict_yaml import StrictModel, load_yaml, nearest, parse_yaml
from suture.tasks.registry import TASKS, get_task
from suture.tasks.task import Task

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
GENERAL: Final = "general"
CLINICAL: Final = "clinical"
ANCESTOR: Final = "ancestor"
# Which data each task and each lesson of a parent needs.
SOURCES: Mapping[str, str] = {
    "contrast": "instructions",
    "clinic_mcq": "clinic",
    "clinic_summary": "clinic",
    "clinic_likelihood": "clinic",
    "mts_section": "mts_dialog",
    "mts_likelihood": "mts_dialog",
}
LESSONS: Mapping[str, str] = {
    "instructions": "instructions",
    "notes": "clinic",
    "texts": "texts",
    "mts_section": "mts_dialog",
}


class Ancestor(StrictModel):
    """Where the common ancestor comes from: a GGUF file in a package, pinned by SHA-256, or a folder or hub id."""

    package: str | None = None
    file: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        packaged = (self.package, self.file, self.sha256)
        if (self.model is None) != all(packaged) or (self.model is not None and any(packaged)):
            raise ValueError("give either package, file and sha256, or model")
        return self


class Clinic(StrictModel):
    """Sizes of the synthetic clinic, in encounters."""

    seed: Seed = 0
    train: Count
    test: Count


class Instructions(StrictModel):
    """Synthetic prompts with verifiable constraints: how many to train on. Of the contrast pairs all are used."""

    seed: Seed = 0
    train: Annotated[int, Field(ge=0)] = 0


class MtsDialog(StrictModel):
    """MTS-Dialog: its folder `Main-Dataset` (may name a variable of the environment), training items, test split.

    longest: training items of more characters, input and target together, are left out; the test keeps all.
    """

    path: str
    train: Count
    longest: Count | None = None
    seed: Seed = 0
    split: Literal["validation", "test1", "test2"] = "validation"


class Texts(StrictModel):
    """Plain texts of one's own to read: tables (.csv, .jsonl, .json, .parquet) whose `fields` are joined a row.

    A path may name a variable of the environment.
    """

    files: Annotated[tuple[str, ...], Field(min_length=1)]
    fields: Annotated[tuple[str, ...], Field(min_length=1)]


class Data(StrictModel):
    """The sources of all texts."""

    clinic: Clinic | None = None
    instructions: Instructions | None = None
    mts_dialog: MtsDialog | None = None
    texts: Texts | None = None


class Training(StrictModel):
    """Settings of one training run; `suture.adapt.settings.Settings` says what they mean."""

    steps: int
    batch: int
    length: int
    learning_rate: float
    warmup: int = 0
    weight_decay: float = 0.0
    seed: int = 0
    lora_rank: int | None = None
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        _as_value_error(self.settings)
        return self

    def settings(self) -> Settings:
        """Return the settings as the trainer takes them."""
        return Settings(**self.model_dump())


class Parent(StrictModel):
    """A parent: the ancestor trained on a lesson, a model of one's own, or (with neither) the ancestor itself."""

    learn: Literal["instructions", "notes", "texts", "mts_section"] | None = None
    settings: Training | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.learn is None) != (self.settings is None):
            raise ValueError("learn and settings belong together")
        if self.learn is not None and self.model is not None:
            raise ValueError("give either learn or model")
        return self


class Parents(StrictModel):
    """The two ends of every merge."""

    general: Parent = Parent()
    clinical: Parent


class Merge(StrictModel):
    """A merge of the parents: `at` is the way from general (0) to clinical (1), `weights` are those of the two parents.

    Methods whose task vectors need a base take the ancestor.
    """

    method: str
    at: float | None = None
    weights: tuple[float, float] | None = None
    parameters: dict[str, Value] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_a_recipe(self) -> Self:
        if (self.at is None) == (self.weights is None):
            raise ValueError("give either at or weights")
        _as_value_error(lambda: self.recipe({GENERAL: GENERAL, CLINICAL: CLINICAL, ANCESTOR: ANCESTOR}))
        return self

    @property
    def label(self) -> str:
        """What the merge is called in tables: "linear 0.25", "task arithmetic"."""
        name = self.method.replace("_", " ")
        if self.at is not None:
            return f"{name} {self.at:g}"
        return name if self.weights == (1.0, 1.0) else f"{name} {self.weights[0]:g}, {self.weights[1]:g}"  # type: ignore[index]

    @property
    def needs_ancestor(self) -> bool:
        """Say whether the method's base is the ancestor: it weighs task vectors, more than one of them."""
        recipe = self.recipe({GENERAL: GENERAL, CLINICAL: CLINICAL, ANCESTOR: ANCESTOR})
        return recipe.base_model == ANCESTOR

    def recipe(self, models: Mapping[str, str], **options: Any) -> Recipe:
        """Return the recipe with the models' references by role; `options` are further keys of it, such as dtype."""
        from suture.methods.registry import get_method

        info = get_method(self.method).info
        general, clinical = models[GENERAL], models[CLINICAL]
        text: dict[str, Any] = {"merge_method": self.method, "general": general, "clinical": clinical}
        parameters: dict[str, Any] = dict(self.parameters)
        if info.base == "required" and info.max_inputs == 2:
            text |= {"base_model": general, "models": [{"model": clinical}]}
            parameters |= {"t": self.at}
        else:
            first, second = self.weights or (1.0 - (self.at or 0.0), self.at)
            entries = ((general, first), (clinical, second))
            text["models"] = [{"model": model, "parameters": {"weight": weight}} for model, weight in entries]
            if info.base == "required":
                text["base_model"] = models[ANCESTOR]
        return parse_recipe(yaml.safe_dump(text | {"parameters": parameters} | options), "merges")


class Adapt(StrictModel):
    """Few-shot adaptation of some models to one task's training records, at each number of shots with each seed.

    A seed draws the shots and, added to that of the settings, orders the training. steps are the updates at a number of
    shots where they are not those of the settings.
    """

    task: str
    starts: Annotated[tuple[str, ...], Field(min_length=1)]
    shots: Annotated[tuple[Count, ...], Field(min_length=1)]
    seed: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    steps: dict[Count, Count] = Field(default_factory=dict)
    settings: Training

    @field_validator("shots", "seed", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, int) else value

    @field_validator("task")
    @classmethod
    def _generation(cls, name: str) -> str:
        task = _known_task(name)
        if task.kind != "generation":
            raise ValueError("the task must have answers to learn: clinic_summary or mts_section")
        return name

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name, values in (("shots", self.shots), ("seed", self.seed)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must not repeat a value")
        for shots in self.steps:
            if shots not in self.shots:
                raise ValueError(f"steps must be given for one of the shots, got {shots}")
        for shots in self.shots:
            _as_value_error(self.training(shots, 0).settings)
        return self

    def training(self, shots: int, seed: int) -> Training:
        """Return the settings of the training on `shots` records drawn by `seed`."""
        return self.settings.model_copy(
            update={"steps": self.steps.get(shots, self.settings.steps), "seed": self.settings.seed + seed}
        )

    def label(self, start: str, shots: int, seed: int) -> str:
        """Return what an adapted model is called in tables: "general, 16 shots", with its seed where there are more."""
        return f"{start}, {shots} shots" + (f", seed {seed}" if len(self.seed) > 1 else "")


class Orders(StrictModel):
    """Fine-tuning before merging, beside merging before fine-tuning, at one number of the shots and each of its seeds.

    tune both: both parents are adapted, then merged. tune general: the adapted general parent is merged with the
    clinical one as it is. graft: what the adaptation changed in the general parent is added to the merge.
    """

    shots: Count
    at: Annotated[float, Field(ge=0, le=1)] = 0.5
    arms: Annotated[tuple[Literal["tune both", "tune general", "graft"], ...], Field(min_length=1)] = (
        "tune both",
        "tune general",
        "graft",
    )

    @property
    def merge(self) -> Merge:
        """The merge of two of the arms, and what the third grafts on."""
        return Merge(method="linear", at=self.at)

    def label(self, arm: str) -> str:
        """Return what the arm is called in tables: "tune both, then linear 0.5", "graft on linear 0.5"."""
        return f"{arm} on {self.merge.label}" if arm == "graft" else f"{arm}, then {self.merge.label}"


class TaskRun(StrictModel):
    """How much of a task is run: the first n items (else all), another limit of new tokens, a file of prompts."""

    n: Count | None = None
    new_tokens: Count | None = None
    path: str | None = None


class Evaluation(StrictModel):
    """What the models answer; ancestor and replicate name the tasks of the ancestor and of the A/A row."""

    tasks: Annotated[dict[str, TaskRun], Field(min_length=1)]
    ancestor: tuple[str, ...] = ()
    replicate: tuple[str, ...] = ()
    batch_size: Count = 32

    @field_validator("tasks")
    @classmethod
    def _known_tasks(cls, tasks: dict[str, TaskRun]) -> dict[str, TaskRun]:
        for name in tasks:
            _known_task(name)
        return tasks

    @model_validator(mode="after")
    def _among_tasks(self) -> Self:
        for name in (*self.ancestor, *self.replicate):
            if name not in self.tasks:
                raise ValueError(f"'{name}' must be one of the tasks evaluated; {nearest(name, self.tasks)}")
        return self

    def task(self, name: str) -> Task:
        """Return the task with this study's limit of new tokens."""
        from dataclasses import replace

        run, task = self.tasks[name], get_task(name)
        return replace(task, max_new_tokens=run.new_tokens) if run.new_tokens else task


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

    @model_validator(mode="after")
    def _measured(self) -> Self:
        task = _known_task(self.task)
        if self.metric not in task.metrics:
            raise ValueError(f"'{self.metric}' must be a metric of {self.task}; {nearest(self.metric, task.metrics)}")
        return self

    def margin(self) -> Margin:
        """Return it as the comparison takes it."""
        return Margin(**self.model_dump())


class Study(StrictModel):
    """One study. full holds the keys that the full protocol changes (`--full`)."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]
    title: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    ancestor: Ancestor | None = None
    data: Data
    parents: Parents
    merges: Annotated[tuple[Merge, ...], Field(min_length=1)]
    record_rounding: Literal["bfloat16", "float16"] | None = None
    adapt: Adapt | None = None
    orders: Orders | None = None
    evaluation: Evaluation
    gate: GateRule
    margins: tuple[MarginEntry, ...]
    full: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [*self._ancestor_problems(), *self._data_problems(), *self._reference_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def to_yaml(self) -> str:
        """Return the study as YAML, without what was left at its default."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False, width=120)

    @property
    def ends(self) -> dict[str, Parent]:
        """The parents by role."""
        return {GENERAL: self.parents.general, CLINICAL: self.parents.clinical}

    def _ancestor_problems(self) -> list[str]:
        if self.ancestor is not None:
            return []
        found = [f"without ancestor, {name} needs model" for name, end in self.ends.items() if end.model is None]
        found += [f"without ancestor, {m.label} has no base" for m in self.merges if m.needs_ancestor]
        return found + (["without ancestor, evaluation.ancestor must be empty"] if self.evaluation.ancestor else [])

    def _data_problems(self) -> list[str]:
        needed = {f"task {name}": SOURCES[name] for name in self.evaluation.tasks if name in SOURCES}
        for name, parent in self.ends.items():
            if parent.learn is not None:
                needed[f"parent {name}"] = LESSONS[parent.learn]
        if self.adapt is not None:
            needed["adapt"] = SOURCES[self.adapt.task]
        return [f"{who} needs data.{what}" for who, what in needed.items() if getattr(self.data, what) is None]

    def _reference_problems(self) -> list[str]:
        labels = [GENERAL, CLINICAL, *(merge.label for merge in self.merges)]
        problems = [f"two merges are called '{label}'" for label in sorted({x for x in labels if labels.count(x) > 1})]
        problems += [
            f"adapt.starts must name a parent or a merge, got '{start}'; {nearest(start, labels)}"
            for start in (self.adapt.starts if self.adapt else ())
            if start not in labels
        ]
        if self.orders is not None:
            problems += self._order_problems(self.orders, labels)
        rules = {"gate.instruction": self.gate.instruction, "gate.notes": self.gate.notes}
        rules |= {f"margins[{i}]": (margin.task, margin.metric) for i, margin in enumerate(self.margins)}
        for where, (task, _) in rules.items():
            if task not in self.evaluation.tasks:
                problems.append(f"{where} needs the task '{task}' among evaluation.tasks")
        return problems

    def _order_problems(self, orders: Orders, labels: list[str]) -> list[str]:
        if self.adapt is None or orders.shots not in self.adapt.shots:
            return [f"orders.shots must be one of adapt.shots, got {orders.shots}"]
        starts = [GENERAL, *([CLINICAL] if "tune both" in orders.arms else [])]
        missing = [start for start in starts if start not in self.adapt.starts]
        problems = [f"orders need {start} among adapt.starts" for start in missing]
        if "graft" in orders.arms and orders.merge.label not in labels:
            problems.append(f"orders graft on {orders.merge.label}, which must be one of the merges")
        return problems


def load_study(path: Path, *, full: bool = False, data: str | None = None, ancestor: str | None = None) -> Study:
    """Read a study file. full applies its `full:` keys, data replaces the path of MTS-Dialog, ancestor the ancestor.

    Another ancestor renames the study. Raises BadInputError (no file) or UsageError with every problem.
    """
    study = load_yaml(path, Study)
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
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


def _reread(written: Any, origin: str) -> Study:
    return parse_yaml(yaml.safe_dump(written, sort_keys=False), Study, origin)


def _overlaid(base: Any, over: Any) -> Any:
    """Return `base` with the keys of `over` put over it, mapping by mapping."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: _overlaid(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}}
    return over


def _known_task(name: str) -> Task:
    if name not in TASKS:
        raise ValueError(f"'{name}' must be a task; {nearest(name, TASKS)}")
    return TASKS[name]


def _as_value_error(make: Any) -> None:
    """Call `make`; what Suture refuses becomes a ValueError, which pydantic reports at its place."""
    try:
        make()
    except SutureError as error:
        raise ValueError(" ".join(f"{p.must} Got {p.got}. {p.do}".rstrip() for p in error.problems)) from None
