"""Which value a parameter has for one tensor: the nearest level that speaks of it wins.

source > slice > module > top level > the method's default. A parameter that each model has of its own is looked up at
all levels and its filters are held against the name of that model's tensor; a shared one skips the source level, and
its filters are held against the name of the output's tensor.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suture.methods.registry import MethodInfo, Parameter
from suture.recipe.schema import Parameters, Section
from suture.recipe.values import Setting, coerced

Level = tuple[str, Parameters]


@dataclass(frozen=True)
class Chain:
    """One parameter's settings from the nearest level to the most general, and where each stands."""

    parameter: Parameter
    settings: tuple[tuple[str, Setting], ...]

    def at(self, name: str, t: float) -> Any:
        """The value for the tensor called `name` at position t of its layers; the default where nothing matches."""
        for _, setting in self.settings:
            clause = setting.find(name)
            if clause is not None:
                value = clause.at(t)
                return float(value) if self.parameter.kind == "float" and type(value) is int else value
        return self.parameter.default

    @property
    def constant(self) -> bool:
        """Whether the value depends on neither name nor position."""
        if not self.settings:
            return True
        first = self.settings[0][1].clauses[0]
        return first.filter is None and not isinstance(first.value, tuple)


@dataclass(frozen=True)
class Lookup:
    """All parameters of one section: one chain for a shared parameter, one for each model for the others."""

    info: MethodInfo
    chains: Mapping[str, tuple[Chain, ...]]
    constant: bool
    _seen: dict[Hashable, Mapping[str, Any]] = field(default_factory=dict, compare=False)

    def at(self, output: str, inputs: Sequence[str], t: float) -> Mapping[str, Any]:
        """Arguments as the method takes them, for the output tensor `output` made from tensors named `inputs` (one for
        each model that has parameters of its own). Equal arguments are one object. REQUIRED stands where a value is
        missing.
        """
        if self.constant and () in self._seen:
            return self._seen[()]
        found: dict[str, Any] = {}
        for parameter in self.info.parameters:
            chains = self.chains[parameter.name]
            if parameter.per_model:
                found[parameter.argument] = tuple(c.at(n, t) for c, n in zip(chains, inputs, strict=True))
            else:
                found[parameter.argument] = chains[0].at(output, t)
        key: Hashable = () if self.constant else tuple(found.values())
        return self._seen.setdefault(key, found)

    @property
    def distinct(self) -> Sequence[Mapping[str, Any]]:
        """All arguments given so far, each once."""
        return tuple(self._seen.values())


def lookup_of(info: MethodInfo, section: Section, own: Sequence[Level]) -> Lookup:
    """Return the lookup for a section; `own` are the source levels of the models that have parameters of their own,
    in the method's order.
    """
    chains = {}
    for parameter in info.parameters:
        sources = own if parameter.per_model else [None]
        chains[parameter.name] = tuple(
            _chain(parameter, [*([level] if level is not None else []), *section.levels]) for level in sources
        )
    constant = all(chain.constant for group in chains.values() for chain in group)
    return Lookup(info, chains, constant)


def _chain(parameter: Parameter, levels: Sequence[Level]) -> Chain:
    found = [
        (f"{place}.{parameter.name}", coerced(level[parameter.name], parameter))
        for place, level in levels
        if parameter.name in level
    ]
    return Chain(parameter, tuple(found))
