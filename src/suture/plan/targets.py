"""Which tensors the output has, from which tensor of each model, and at which position t of the layers.

Whole models: the tensors of the donor, each from its namesakes. Slices: what stands before the layers from the first
slice, the layers as listed, what stands after from the last slice; both ends at t = 0, as in mergekit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from suture.architecture import Architecture, Spot, Stack, with_layers
from suture.errors import Problem
from suture.plan.models import Model, some
from suture.recipe.order import Order
from suture.recipe.schema import ModelEntry, Section

TEXT_NAMES = ("text", "text_decoder", "text_model", "language_model", "llm", "default")


@dataclass(frozen=True, slots=True)
class Target:
    """One tensor of the output: its section, the tensor's name in each of the section's models, its position."""

    name: str
    section: int
    sources: tuple[str, ...]
    t: float


@dataclass(frozen=True, slots=True)
class Part:
    """A section with its models in the method's order; number: its index in the recipe."""

    number: int
    section: Section
    order: Order
    models: tuple[Model, ...]

    @property
    def first_listed(self) -> Model:
        """The model of the first line of the section."""
        name = self.section.entries[0].model
        return next(model for model in self.models if model.name == name)


@dataclass(frozen=True)
class Targets:
    """The output's tensors in order, its config, and what is wrong."""

    all: tuple[Target, ...]
    config: Mapping[str, Any]
    problems: tuple[Problem, ...]


def targets_of(parts: Sequence[Part], donor: Model) -> Targets:
    """Return what the output is made of. Raises IncompatibleError where the config does not count its layers."""
    found: list[Target] = []
    problems: list[Problem] = []
    config = donor.config
    covered: set[str] = set()
    modules = list(dict.fromkeys(part.section.module for part in parts))
    for module, group in groupby(parts, key=lambda part: part.section.module):
        some_parts = list(group)
        named = _Names(module, modules, donor if donor in some_parts[0].models else some_parts[0].models[0])
        covered.update(named.names(named.model))
        if not named.names(named.model):
            known = sorted({named.model.architecture.part_of(name) for name in named.model.tensors})
            must = "A module must be a part of the model."
            problems.append(Problem(must, f"'{module}'", f"modules.{module}", f"Parts: {', '.join(known)}."))
            continue
        if some_parts[0].section.slice is None:
            found += _whole(some_parts[0], named)
            problems += _missing(some_parts[0].models, named)
            continue
        stacked = _Stacked(some_parts, named)
        problems += stacked.range_problems()
        if not problems:
            found += stacked.targets()
            problems += _absent(found, some_parts)
            config = stacked.config(config)
    left = [name for name in donor.tensors if name not in covered]
    if left and modules != [None] and not problems:
        must = "The modules must cover every tensor."
        problems.append(Problem(must, f"{len(left)} left out: {some(left)}", "modules"))
    return Targets(tuple(found), config, tuple(dict.fromkeys(problems)))


class _Names:
    """Which tensors belong to a module; `model` gives their order."""

    def __init__(self, module: str | None, modules: Sequence[str | None], model: Model) -> None:
        self.module = module
        self.model = model
        self.takes_rest = module in TEXT_NAMES or (
            module == "decoder" and not any(name in TEXT_NAMES for name in modules)
        )

    def belongs(self, architecture: Architecture, name: str) -> bool:
        """Whether the tensor is one of the module's."""
        if self.module is None:
            return True
        part = architecture.part_of(name)
        return part == self.module or self.module in name.split(".")[:4] or (self.takes_rest and part == "text")

    def names(self, model: Model) -> list[str]:
        """The module's tensors in a model, in the order of its files."""
        return [name for name in model.tensors if self.belongs(model.architecture, name)]


def _whole(part: Part, named: _Names) -> Iterator[Target]:
    architecture, count = named.model.architecture, len(part.models)
    for name in named.names(named.model):
        yield Target(name, part.number, (name,) * count, architecture.position(architecture.spot(name)))


class _Stacked:
    """Slices of one module, put on top of one another."""

    def __init__(self, parts: Sequence[Part], named: _Names) -> None:
        self.parts = parts
        self.named = named
        self._layers: dict[str, dict[int, list[Spot]]] = {}

    def stack_of(self, model: Model) -> Stack | None:
        """The stack whose layers the slices speak of."""
        architecture = model.architecture
        if self.named.module is None:
            return architecture.main
        inside = [s for s in architecture.stacks.values() if self.named.belongs(architecture, f"{s.prefix}.0.x")]
        return architecture.main if architecture.main in inside else next(iter(inside), None)

    def range_problems(self) -> Iterator[Problem]:
        """What is wrong with the layer ranges."""
        for part in self.parts:
            for placed, model in zip(part.order.inputs, part.models, strict=True):
                stack = self.stack_of(model)
                end = _range(placed.entry)[1]
                where = f"{placed.place}.layer_range"
                if stack is None:
                    yield Problem("A model of slices must have layers.", "none in its names", where)
                elif end > stack.count:
                    must = f"layer_range must end within the {stack.count} layers of {model.name}."
                    yield Problem(must, str(end), where)

    def targets(self) -> Iterator[Target]:
        """The output's tensors: before, within, after the layers."""
        first, last = self.parts[0], self.parts[-1]
        yield from self._outside(first, before=True)
        layer = 0
        for part in self.parts:
            begins = [_range(placed.entry)[0] for placed in part.order.inputs]
            for offset in range(_length(part)):
                for spot in self._spots(part.models[0]).get(begins[0] + offset, []):
                    sources = tuple(spot.at(begin + offset) for begin in begins)
                    yield Target(spot.at(layer), part.number, sources, _position(offset, _length(part)))
                layer += 1
        yield from self._outside(last, before=False)

    def config(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """The donor's config with the output's layers."""
        picks = [
            (part.first_listed.config, _range(part.section.entries[0])[0] + offset)
            for part in self.parts
            for offset in range(_length(part))
        ]
        stack = self.stack_of(self.named.model)
        return with_layers(config, stack, picks) if stack is not None else config

    def _outside(self, part: Part, *, before: bool) -> Iterator[Target]:
        model = part.models[0]
        stack = self.stack_of(model)
        for name in self.named.names(model):
            spot = model.architecture.spot(name)
            mine = stack is not None and spot.stack == stack.prefix
            if not mine and (spot.side != "after") == before:
                yield Target(name, part.number, (name,) * len(part.models), 0.0)

    def _spots(self, model: Model) -> Mapping[int, list[Spot]]:
        if model.name not in self._layers:
            stack = self.stack_of(model)
            found: dict[int, list[Spot]] = {}
            for name in model.tensors:
                spot = model.architecture.spot(name)
                if stack is not None and spot.stack == stack.prefix:
                    found.setdefault(spot.layer, []).append(spot)
            self._layers[model.name] = found
        return self._layers[model.name]


def _range(entry: ModelEntry) -> tuple[int, int]:
    return entry.layers or (0, 0)


def _length(part: Part) -> int:
    begin, end = _range(part.section.entries[0])
    return end - begin


def _position(offset: int, length: int) -> float:
    return offset / (length - 1) if length > 1 else 1.0


def _missing(models: Sequence[Model], named: _Names) -> Iterator[Problem]:
    everything = {name for model in models for name in named.names(model)}
    for model in models:
        missing = sorted(everything - model.tensors.keys())
        if missing:
            must = "Every tensor must stand in every model."
            yield Problem(must, f"{len(missing)} missing: {some(missing)}", model.name)


def _absent(targets: Iterable[Target], parts: Sequence[Part]) -> Iterator[Problem]:
    by_number = {part.number: part for part in parts}
    absent: dict[str, dict[str, None]] = {}
    for target in targets:
        part = by_number.get(target.section)
        for model, name in zip(part.models, target.sources, strict=True) if part is not None else ():
            if name not in model.tensors:
                absent.setdefault(model.name, {})[name] = None
    for model_name, names in absent.items():
        must = "Every tensor of a slice must stand in each of its sources."
        yield Problem(must, f"{len(names)} missing: {some(list(names))}", model_name)
