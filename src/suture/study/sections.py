"""The parts of a study file that say where models come from: data, parents, controls, merges, adaptation, orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from suture.adapt.settings import Settings
from suture.errors import SutureError
from suture.recipe import Recipe, Value, parse_recipe
from suture.strict_yaml import StrictModel

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Lesson = Literal["instructions", "notes", "texts", "mts_section"]
GENERAL: Final = "general"
CLINICAL: Final = "clinical"
ANCESTOR: Final = "ancestor"
# What the steps of a training always name; a setting beyond these is named where it was given.
KEYED = frozenset((
    *("steps", "batch", "length", "learning_rate", "warmup", "weight_decay", "seed"),
    *("lora_rank", "lora_alpha", "lora_dropout"),
))  # fmt: skip


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
    """The sources of all texts; folder holds the data sets of the suites' tasks (may name a variable).

    leak_share: how much of a test text's runs of eight words a record must hold to repeat it; 0: one run is enough.
    allow_overlap: why records that are learnt may repeat test items; the report quotes it. Without it that is refused.
    """

    folder: str | None = None
    leak_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    allow_overlap: str = ""
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
    schedule: Literal["linear", "cosine"] = "linear"
    betas: tuple[float, float] = (0.9, 0.999)
    lora_targets: Literal["all-linear", "attention"] = "all-linear"
    frozen_layers: int = 0
    accumulate: int = 1
    checkpointing: bool = False
    autocast: Literal["none", "bfloat16"] = "none"

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        as_value_error(self.settings)
        return self

    def settings(self) -> Settings:
        """Return the settings as the trainer takes them."""
        return Settings(**self.model_dump())

    def written(self) -> dict[str, Any]:
        """Return the settings as a step keeps them: what was left out and was added later is not named."""
        return self.model_dump(mode="json", include=set(KEYED | self.model_fields_set))


class Parent(StrictModel):
    """A parent: the ancestor trained on a lesson, a model of one's own, or (with neither) the ancestor itself."""

    learn: Lesson | None = None
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


class Control(StrictModel):
    """A model to compare with that is no merge: a parent, or the ancestor, trained on a lesson.

    The general parent trained on the clinical parent's texts is the control for data: what merging must beat.
    """

    of: Literal["general", "clinical", "ancestor"] = "general"
    learn: Lesson
    settings: Training


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
        as_value_error(lambda: self.recipe({GENERAL: GENERAL, CLINICAL: CLINICAL, ANCESTOR: ANCESTOR}))
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


class Drawn(StrictModel):
    """Some of a task's training records, drawn by each seed, for some models.

    counted: the word that stands behind a number of shots in labels.
    """

    counted: ClassVar[str]

    task: str
    starts: Annotated[tuple[str, ...], Field(min_length=1)]
    shots: Annotated[tuple[Count, ...], Field(min_length=1)]
    seed: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)

    @field_validator("shots", "seed", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, int) else value

    @model_validator(mode="after")
    def _no_value_twice(self) -> Self:
        for name, values in (("shots", self.shots), ("seed", self.seed), ("starts", self.starts)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must not repeat a value")
        return self

    def points(self) -> Iterator[tuple[str, int, int]]:
        """Return every (start, shots, seed)."""
        return product(self.starts, self.shots, self.seed)

    def label(self, start: str, shots: int, seed: int, called: str = "") -> str:
        """Return what a model is called in tables: "general, 16 shots", and the seed where there are several.

        called: what tells this entry from the study's others, "" where it is the only one.
        """
        parts = [start, called, f"{shots} {self.counted}", f"seed {seed}" if len(self.seed) > 1 else ""]
        return ", ".join(part for part in parts if part)


class Adapt(Drawn):
    """Few-shot adaptation of some models to one task's training records, at each number of shots with each seed.

    A seed draws the shots and, added to that of the settings, orders the training. steps are the updates at a number of
    shots where they are not those of the settings. name tells a variant apart in tables: another way of training beside
    the one without a name. replay: so many general examples (`data.instructions`) are mixed in. keep: whole models, or
    their adapters alone, from which each model is made for as long as it is evaluated: a hundredth of the disk.
    """

    counted: ClassVar[str] = "shots"

    name: Annotated[str, Field(pattern=r"^[\w .-]*$")] = ""
    steps: dict[Count, Count] = Field(default_factory=dict)
    replay: Annotated[int, Field(ge=0)] = 0
    keep: Literal["model", "adapter"] = "model"
    settings: Training

    @model_validator(mode="after")
    def _trains(self) -> Self:
        if self.keep == "adapter" and self.settings.lora_rank is None:
            raise ValueError("keep: adapter needs settings.lora_rank")
        for shots in self.steps:
            if shots not in self.shots:
                raise ValueError(f"steps must be given for one of the shots, got {shots}")
        for shots in self.shots:
            as_value_error(self.training(shots, 0).settings)
        return self

    def training(self, shots: int, seed: int) -> Training:
        """Return the settings of the training on `shots` records drawn by `seed`."""
        return self.settings.model_copy(
            update={"steps": self.steps.get(shots, self.settings.steps), "seed": self.settings.seed + seed}
        )


class InContext(Drawn):
    """The baseline without training: the shots that an adaptation would learn stand before each item as examples.

    They are user turns and answers of the same conversation. Only `task` is asked: the weights, and with them all else,
    are those of the start.
    """

    counted: ClassVar[str] = "in context"


class Orders(StrictModel):
    """Fine-tuning before merging, beside merging before fine-tuning, at one number of the shots and each of its seeds.

    It is the first adaptation of the study that is meant. tune both: both parents are adapted, then merged. tune
    general: the adapted general parent is merged with the clinical one as it is. graft: what the adaptation changed in
    the general parent is added to the merge. halve: half of it is added to the general parent, without a merge
    (Wortsman et al. 2022, WiSE-FT, arXiv 2109.01903, at 0.5).
    """

    shots: Count
    at: Annotated[float, Field(ge=0, le=1)] = 0.5
    arms: Annotated[tuple[Literal["tune both", "tune general", "graft", "halve"], ...], Field(min_length=1)] = (
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
        if arm == "halve":
            return f"{GENERAL}, half the adaptation"
        return f"{arm} on {self.merge.label}" if arm == "graft" else f"{arm}, then {self.merge.label}"


def as_value_error(make: Any) -> None:
    """Call `make`; what Suture refuses becomes a ValueError, which pydantic reports at its place."""
    try:
        make()
    except SutureError as error:
        raise ValueError(" ".join(f"{p.must} Got {p.got}. {p.do}".rstrip() for p in error.problems)) from None
