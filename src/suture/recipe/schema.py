"""The keys of a recipe, frozen and strict; docs/recipes.md explains them, docs/recipe.schema.json is made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from suture.methods.registry import METHODS, PRESETS, Method
from suture.recipe.references import ReferenceText
from suture.recipe.tokenizer import TokenizerKeys, TokenizerRequest, requested
from suture.recipe.values import Scalar, Setting, SettingField
from suture.strict_yaml import StrictModel, nearest

Value = Scalar
Parameters = Mapping[str, Setting]


def _short(name: Any) -> Any:
    return name.removeprefix("torch.") if isinstance(name, str) else name


DtypeName = Annotated[Literal["float32", "float16", "bfloat16"], BeforeValidator(_short)]
Layer = Annotated[int, Field(ge=0)]


class ModelEntry(StrictModel):
    """One line of `models:`: a model, the parameters that hold for it alone, its statistic from `suture calibrate`."""

    model: ReferenceText
    parameters: dict[str, SettingField] = Field(default_factory=dict)
    information: str | None = Field(default=None, min_length=1, description="File written by `suture calibrate`.")

    @property
    def layers(self) -> tuple[int, int] | None:
        """First layer and end; None for the whole model."""
        return None


class SliceSource(ModelEntry):
    """One model's layers of a slice: from the first of layer_range up to, not including, the second, counted from 0."""

    layer_range: tuple[Layer, Layer]

    @property
    def layers(self) -> tuple[int, int] | None:
        """First layer and end."""
        return self.layer_range

    @field_validator("layer_range")
    @classmethod
    def _some_layers(cls, layers: tuple[int, int]) -> tuple[int, int]:
        if layers[0] >= layers[1]:
            raise ValueError("the first layer must lie before the end")
        return layers


class Slice(StrictModel):
    """Layers of the output, one after another: the k-th from the k-th layer of each source's range."""

    sources: Annotated[tuple[SliceSource, ...], Field(min_length=1)]
    base_model: ReferenceText | None = None
    parameters: dict[str, SettingField] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        lengths = [source.layer_range[1] - source.layer_range[0] for source in self.sources]
        if len(set(lengths)) > 1:
            raise ValueError(f"all sources of a slice must have as many layers; they have {lengths}")
        return self


class Module(StrictModel):
    """What one part of a model of several parts (text, vision, encoder, decoder) is made of."""

    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)] | None = None
    slices: Annotated[tuple[Slice, ...], Field(min_length=1)] | None = None
    parameters: dict[str, SettingField] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.models is None) == (self.slices is None):
            raise ValueError("give either models or slices")
        _refuse_twice(self.models or ())
        return self


@dataclass(frozen=True, slots=True)
class Section:
    """One stretch of a recipe that is merged alike: all models whole, or one slice, of one module or of the whole.

    entries: as listed. levels: the parameters that all of them share, from the nearest to the most general. place: in
    the recipe. slice: its number within the module; None for whole models.
    """

    place: str
    entries: tuple[ModelEntry, ...]
    levels: tuple[tuple[str, Parameters], ...]
    base_model: str | None
    module: str | None = None
    slice: int | None = None


class Recipe(StrictModel):
    """A merge as written. Paths are relative to the working directory, as in the recipes of the field.

    merge_method names a method of the registry. Exactly one of models, slices and modules says what is merged.
    base_model is the base of the task vectors, or the start of the arc. general and clinical name the roles: the first
    gives config, tokenizer and chat template, and the realised coefficient is measured from the one to the other.
    Arithmetic is fp32; dtype (or out_dtype) is what is written. stages are merges that later ones name as models.
    """

    name: str | None = Field(default=None, min_length=1, description="Name under which other stages use the result.")
    merge_method: str
    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)] | None = None
    slices: Annotated[tuple[Slice, ...], Field(min_length=1)] | None = None
    modules: Annotated[dict[str, Module], Field(min_length=1)] | None = None
    base_model: ReferenceText | None = None
    general: ReferenceText | None = None
    clinical: ReferenceText | None = None
    parameters: dict[str, SettingField] = Field(default_factory=dict)
    dtype: DtypeName | None = None
    out_dtype: DtypeName | None = None
    tokenizer_source: ReferenceText | None = Field(default=None, description="union, base, or a model of the recipe.")
    tokenizer: TokenizerKeys | None = None
    chat_template: str | None = Field(default=None, min_length=1, description="auto, a known name, or Jinja source.")
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    max_shard_bytes: Annotated[int, Field(ge=1 << 20)] = 5_000_000_000
    stages: tuple[Recipe, ...] = Field(default=(), description="Merges that this one names as models.")
    _notes: tuple[str, ...] = PrivateAttr(())
    _lenient: bool = PrivateAttr(False)

    @field_validator("merge_method")
    @classmethod
    def _known_method(cls, name: str) -> str:
        if name not in METHODS:
            raise ValueError(f"the method must be registered; {nearest(name, [*METHODS, *PRESETS])}")
        return name

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        given = [key for key in ("models", "slices", "modules") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of models, slices and modules, not {' and '.join(given) or 'none'}")
        _refuse_twice(self.models or ())
        if self.tokenizer is not None and self.tokenizer_source is not None:
            raise ValueError("give either tokenizer or tokenizer_source")
        return self

    @property
    def method(self) -> Method:
        """The declared method."""
        return METHODS[self.merge_method]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the recipe was read, as sentences."""
        return (*(note for stage in self.stages for note in stage.notes), *self._notes)

    @property
    def lenient(self) -> bool:
        """Whether a filter that matches nothing is a note instead of an error."""
        return self._lenient

    def with_notes(self, notes: tuple[str, ...], *, lenient: bool = False) -> Recipe:
        """The same recipe, with notes."""
        copy = self.model_copy()
        copy._notes, copy._lenient = notes, lenient
        return copy

    def changed(self, *, seed: int | None = None, max_shard_bytes: int | None = None) -> Recipe:
        """The same recipe with another seed, for its stages too, or another size of weight files."""
        update: dict[str, Any] = {"max_shard_bytes": max_shard_bytes} if max_shard_bytes is not None else {}
        if seed is not None:
            update |= {"seed": seed, "stages": tuple(stage.changed(seed=seed) for stage in self.stages)}
        return self.model_copy(update=update)

    @property
    def sections(self) -> tuple[Section, ...]:
        """What is merged, section by section, in the order of the output's layers."""
        top = ("parameters", self.parameters)
        if self.modules is None:
            return tuple(self._sections_of(self.models, self.slices, None, "", (top,)))
        return tuple(
            section
            for name, module in self.modules.items()
            for section in self._sections_of(
                module.models,
                module.slices,
                name,
                f"modules.{name}.",
                ((f"modules.{name}.parameters", module.parameters), top),
            )
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every model, each once: the base first where the method has one, then in the order of the file."""
        listed = [entry.model for section in self.sections for entry in section.entries]
        bases = [section.base_model for section in self.sections if section.base_model is not None]
        first = [self.base_model] if self.base_model is not None and self.method.info.base != "none" else []
        return tuple(dict.fromkeys([*first, *listed, *bases, *([self.base_model] if self.base_model else [])]))

    @property
    def written_dtype(self) -> DtypeName | None:
        """The dtype of the output; None keeps each tensor's own."""
        return self.out_dtype or self.dtype

    @property
    def tokenizer_request(self) -> TokenizerRequest:
        """What the recipe asks of the output's vocabulary."""
        return requested(self.tokenizer, self.tokenizer_source, self.chat_template, self.base_model)

    def to_yaml(self) -> str:
        """Return the recipe as YAML, without what was left at its default; stages as documents of their own."""
        return yaml.safe_dump_all(
            [
                stage.model_dump(exclude_defaults=True, mode="json", exclude={"stages"})
                for stage in (*self.stages, self)
            ],
            sort_keys=False,
        )

    def _sections_of(
        self,
        models: tuple[ModelEntry, ...] | None,
        slices: tuple[Slice, ...] | None,
        module: str | None,
        place: str,
        levels: tuple[tuple[str, Parameters], ...],
    ) -> Iterator[Section]:
        if models is not None:
            yield Section(f"{place}models", models, levels, self.base_model, module)
        for number, part in enumerate(slices or ()):
            at = f"{place}slices[{number}]"
            own = (f"{at}.parameters", part.parameters)
            base = part.base_model or self.base_model
            yield Section(f"{at}.sources", part.sources, (own, *levels), base, module, number)


def _refuse_twice(entries: tuple[ModelEntry, ...]) -> None:
    names = [entry.model for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each model must be listed once; listed again: {', '.join(twice)}")
