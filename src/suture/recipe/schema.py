"""YAML <-> frozen Recipe: the keys that people already write, plus the roles `general:` and `clinical:`.

Parsing reports every problem at once, each with its place; whether the models exist and fit is the plan's matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from suture.errors import Problem, UsageError, refuse
from suture.methods.registry import METHODS, REQUIRED, Method, Parameter
from suture.strict_yaml import StrictModel, load_yaml, nearest, parse_yaml

DtypeName = Literal["float32", "float16", "bfloat16"]
Value = bool | int | float | str


class ModelEntry(StrictModel):
    """One line of `models:`: a model and the parameters that hold for it alone."""

    model: str = Field(min_length=1)
    parameters: dict[str, Value] = Field(default_factory=dict)


class Recipe(StrictModel):
    """A merge as written. Paths are relative to the working directory, as in the recipes of the field.

    merge_method names a method of the registry. base_model is the base of the task vectors, or the start of the arc.
    general and clinical name the roles: the first gives config, tokenizer and chat template, and the realised
    coefficient is measured from the one to the other. Arithmetic is fp32; dtype (or out_dtype) is what is written.
    """

    merge_method: str
    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)]
    base_model: str | None = None
    general: str | None = None
    clinical: str | None = None
    parameters: dict[str, Value] = Field(default_factory=dict)
    dtype: DtypeName | None = None
    out_dtype: DtypeName | None = None
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    max_shard_bytes: Annotated[int, Field(ge=1 << 20)] = 5_000_000_000

    @field_validator("merge_method")
    @classmethod
    def _known_method(cls, name: str) -> str:
        if name not in METHODS:
            raise ValueError(f"the method must be registered; {nearest(name, METHODS)}")
        return name

    @model_validator(mode="after")
    def _models_once(self) -> Self:
        names = [entry.model for entry in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each model must be listed once; listed again: {', '.join(twice)}")
        return self

    @property
    def method(self) -> Method:
        """The declared method."""
        return METHODS[self.merge_method]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Models in the order that the method sees: the base first where the method has one, then as listed."""
        names = tuple(entry.model for entry in self.models)
        if self.method.info.base == "required" and self.base_model is not None:
            return (self.base_model, *(name for name in names if name != self.base_model))
        return names

    @property
    def written_dtype(self) -> DtypeName | None:
        """The dtype of the output; None keeps each tensor's own."""
        return self.out_dtype or self.dtype

    def arguments(self) -> dict[str, Any]:
        """Return the method's parameters as it takes them: shared ones as scalars, per-model ones as tuples.

        Raises UsageError naming every parameter that is missing or out of its range.
        """
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        per_model = self._per_model_entries()
        for parameter in self.method.info.parameters:
            if parameter.per_model:
                found = [self._lookup(parameter, entry) for entry in per_model]
                places = [f"models[{entry.model}].parameters.{parameter.name}" for entry in per_model]
            else:
                found, places = [self._lookup(parameter, None)], [f"parameters.{parameter.name}"]
            for value, place in zip(found, places, strict=True):
                if value is REQUIRED:
                    problems.append(Problem(f"{self.merge_method} needs {parameter.describe()}.", "nothing", place))
                elif (sentence := parameter.problem(value)) is not None:
                    problems.append(Problem(*_split(sentence), where=place))
            values[parameter.argument] = tuple(found) if parameter.per_model else found[0]
        refuse(UsageError, problems)
        refuse(UsageError, [Problem(*_split(s), where="parameters") for s in self.method.info.check(values)])
        return values

    def check(self) -> list[Problem]:
        """Return every problem that the recipe itself shows: unknown parameters, base, number of models."""
        info = self.method.info
        known = {parameter.name for parameter in info.parameters}
        own = {parameter.name for parameter in info.parameters if parameter.per_model}
        problems = [_unknown(f"parameters.{name}", name, known) for name in self.parameters if name not in known]
        for entry in self.models:
            place = f"models[{entry.model}].parameters"
            problems += [_unknown(f"{place}.{name}", name, own) for name in entry.parameters if name not in own]
        listed = {entry.model for entry in self.models}
        if info.base == "required" and self.base_model is None:
            problems.append(
                Problem(f"{info.name} needs base_model.", "none", "base_model", "Name the base of the merge.")
            )
        if info.base == "none" and self.base_model is not None and self.base_model not in listed:
            advice = "Remove it, or list it under models with a weight."
            problems.append(Problem(f"{info.name} has no base.", self.base_model, "base_model", advice))
        for role in ("general", "clinical"):
            name = getattr(self, role)
            if name is not None and name not in {*listed, self.base_model}:
                problems.append(Problem("A role must name a model of the recipe.", name, role, nearest(name, listed)))
        count, most = len(self.inputs), info.max_inputs
        if count < info.min_inputs or (most is not None and count > most):
            span = f"exactly {most}" if most == info.min_inputs else f"at least {info.min_inputs}"
            problems.append(Problem(f"{info.name} takes {span} models, the base counted.", str(count), "models"))
        return problems

    def to_yaml(self) -> str:
        """Return the recipe as YAML, without what was left at its default."""
        return yaml.safe_dump(self.model_dump(exclude_defaults=True, mode="json"), sort_keys=False)

    def _per_model_entries(self) -> list[ModelEntry]:
        by_name = {entry.model: entry for entry in self.models}
        names = self.inputs[1:] if self.method.info.base == "required" else self.inputs
        return [by_name[name] for name in names]

    def _lookup(self, parameter: Parameter, entry: ModelEntry | None) -> Any:
        own = entry.parameters if entry is not None else {}
        return own.get(parameter.name, self.parameters.get(parameter.name, parameter.default))


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe file. Raises BadInputError (no file) or UsageError with every problem found."""
    return _checked(load_yaml(path, Recipe))


def parse_recipe(text: str, origin: str = "recipe") -> Recipe:
    """Read and check a recipe from YAML text; `origin` names it in messages."""
    return _checked(parse_yaml(text, Recipe, origin))


def _checked(recipe: Recipe) -> Recipe:
    problems = recipe.check()
    if not any(problem.where in ("models", "base_model") for problem in problems):
        try:
            recipe.arguments()
        except UsageError as error:
            problems += error.problems
    refuse(UsageError, problems)
    return recipe


def _unknown(place: str, name: str, known: set[str]) -> Problem:
    advice = nearest(name, known) if known else "The method has no parameter at this place."
    return Problem("A parameter must be one that the method declares.", f"'{name}'", place, advice)


def _split(sentence: str) -> tuple[str, str]:
    """Split "x must be y. Got z." into what must hold and what was got."""
    must, _, got = sentence.partition(" Got ")
    return must, got.rstrip(".") or "a value that does not hold"
