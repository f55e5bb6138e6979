"""The models of a section in the order that the method sees: the base first where it has one, then as listed."""

from __future__ import annotations

from dataclasses import dataclass

from suture.methods.registry import MethodInfo
from suture.recipe.lookup import Level, Lookup, lookup_of
from suture.recipe.schema import ModelEntry, Section


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry and its place in the recipe."""

    place: str
    entry: ModelEntry


@dataclass(frozen=True, slots=True)
class Order:
    """inputs: all, in the method's order. has_base: whether the first is the base. listed: the base was listed too."""

    inputs: tuple[Placed, ...]
    has_base: bool
    listed: bool

    @property
    def models(self) -> tuple[Placed, ...]:
        """Those that have parameters of their own."""
        return self.inputs[1:] if self.has_base else self.inputs

    def lookup(self, info: MethodInfo, section: Section) -> Lookup:
        """The parameters of the section."""
        own: list[Level] = [(f"{placed.place}.parameters", placed.entry.parameters) for placed in self.models]
        return lookup_of(info, section, own)


def has_base(info: MethodInfo, section: Section) -> bool:
    """Whether the method's first input is a base."""
    return info.base == "required" or (info.base != "none" and section.base_model is not None)


def order_of(info: MethodInfo, section: Section) -> Order:
    """Return the order; a base that whole models do not list is put before them."""
    placed = [Placed(f"{section.place}[{number}]", entry) for number, entry in enumerate(section.entries)]
    if not has_base(info, section) or section.base_model is None:
        return Order(tuple(placed), False, False)
    at = next((n for n, one in enumerate(placed) if one.entry.model == section.base_model), None)
    if at is not None:
        return Order((placed[at], *placed[:at], *placed[at + 1 :]), True, True)
    if section.slice is not None:
        return Order(tuple(placed), False, False)
    return Order((Placed("base_model", ModelEntry(model=section.base_model)), *placed), True, False)
