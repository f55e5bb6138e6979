"""What the fictional clinic knows: conditions, drugs and chronic illnesses, read from `conditions.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Drug:
    """One order: drug, dose (a number as written), unit, frequency."""

    drug: str
    dose: str
    unit: str
    frequency: str

    def __str__(self) -> str:
        return f"{self.drug} {self.dose} {self.unit} {self.frequency}"


@dataclass(frozen=True, slots=True)
class Imaging:
    """What a study of one condition shows. Texts may carry {side} and {mm}; sizes are the millimetres that occur."""

    study: str
    findings: tuple[str, ...]
    absent: tuple[str, ...]
    normal: tuple[str, ...]
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """One diagnosis and all that the clinic's notes may say about it.

    Texts may carry {side} where `sites` is not empty. symptoms pairs the note's wording with the patient's. Conditions
    that share one of `groups` are never each other's wrong answer; also names drug classes that would be defensible
    beside those of the groups. setting is "clinic" or "ward"; course (ward only) lists what may go well in a stay.
    excludes names chronic illnesses that its patients do not have beside it.
    """

    name: str
    groups: tuple[str, ...]
    ages: tuple[int, int]
    complaint: str
    lay: str
    durations: tuple[str, ...]
    symptoms: tuple[tuple[str, str], ...]
    denied: tuple[str, ...]
    signs: tuple[str, ...]
    absent: tuple[str, ...]
    history: tuple[str, ...]
    drugs: tuple[Drug, ...]
    plan: tuple[str, ...]
    follow_ups: tuple[str, ...]
    setting: str = "clinic"
    vitals: str = "well"
    sites: tuple[str, ...] = ()
    sexes: tuple[str, ...] = ("man", "woman")
    course: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    imaging: Imaging | None = None


@dataclass(frozen=True, slots=True)
class Chronic:
    """A long-standing illness, the orders that treat it at home, and the youngest age in years at which it is seen."""

    illness: str
    drugs: tuple[Drug, ...]
    youngest: int


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The whole table. classes maps a drug's name to its class."""

    conditions: tuple[Condition, ...]
    chronic: tuple[Chronic, ...]
    classes: Mapping[str, str] = field(default_factory=dict)

    def condition(self, name: str) -> Condition:
        """Return the condition of that name."""
        return next(condition for condition in self.conditions if condition.name == name)

    def unlike(self, condition: Condition) -> list[Condition]:
        """Return the conditions that share no group with `condition`."""
        return [other for other in self.conditions if not set(other.groups) & set(condition.groups)]

    def fitting_classes(self, condition: Condition) -> frozenset[str]:
        """Return the drug classes that would be right, or defensible, for `condition`."""
        near = [other for other in self.conditions if set(other.groups) & set(condition.groups)]
        return frozenset(self.classes[drug.drug] for other in near for drug in other.drugs) | frozenset(condition.also)


def _orders(text: str) -> tuple[Drug, ...]:
    name, doses, unit, frequency = (part.strip() for part in text.split("|"))
    return tuple(Drug(name, dose, unit, frequency) for dose in doses.split())


def _condition(row: dict[str, Any]) -> Condition:
    texts = _frozen(row)
    texts["symptoms"] = tuple(tuple(part.strip() for part in text.split("|")) for text in row["symptoms"])
    texts["drugs"] = tuple(order for text in row["drugs"] for order in _orders(text))
    texts["imaging"] = Imaging(**_frozen(row["imaging"])) if "imaging" in row else None
    return Condition(**texts)


def _frozen(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


@cache
def knowledge() -> Knowledge:
    """Return the clinic's table, read once a process."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there
    table = yaml.load(files(__package__).joinpath("conditions.yaml").read_text(encoding="utf-8"), Loader=loader)
    return Knowledge(
        conditions=tuple(_condition(row) for row in table["conditions"]),
        chronic=tuple(Chronic(illness, _orders(drug), youngest) for illness, drug, youngest in table["chronic"]),
        classes={drug: name for name, drugs in table["classes"].items() for drug in drugs},
    )
