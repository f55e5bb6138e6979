"""Parameter values as recipes write them: a scalar, a gradient over layers, or a list of {filter, value}.

A `Setting` holds clauses in order; for one tensor the first clause whose filter its name contains gives the value. A
gradient is read at a position t in [0, 1], from the first layer to the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from suture.methods.registry import Parameter

Scalar: TypeAlias = bool | int | float | str
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Clause:
    """One value or gradient (a tuple), and the text that a tensor's name must contain (None: any name)."""

    value: Scalar | tuple[Scalar, ...]
    filter: str | None = None

    def matches(self, name: str) -> bool:
        """Whether the clause speaks of the tensor called `name`."""
        return self.filter is None or self.filter in name

    def at(self, t: float) -> Scalar:
        """The value at position t in [0, 1]: linear between the points of a gradient of numbers; words and truth
        values step instead.
        """
        if not isinstance(self.value, tuple):
            return self.value
        points = self.value
        x = t * (len(points) - 1)
        low = math.floor(x)
        if any(isinstance(point, bool | str) for point in points):
            return points[low]
        high = min(low + 1, len(points) - 1)
        part = x - low
        if points[low] == points[high]:
            return points[low]
        return (1.0 - part) * float(points[low]) + part * float(points[high])

    @property
    def points(self) -> tuple[Scalar, ...]:
        """Every scalar that is written."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of one parameter at one level of a recipe."""

    clauses: tuple[Clause, ...]

    def find(self, name: str) -> Clause | None:
        """The first clause that speaks of the tensor called `name`."""
        return next((clause for clause in self.clauses if clause.matches(name)), None)

    def map(self, change: Callable[[Scalar], Scalar]) -> Setting:
        """The same with each scalar replaced."""
        return Setting(tuple(Clause(_mapped(clause.value, change), clause.filter) for clause in self.clauses))

    def written(self) -> Any:
        """As YAML writes it."""
        if len(self.clauses) == 1 and self.clauses[0].filter is None:
            return _plain(self.clauses[0].value)
        return [_clause_written(clause) for clause in self.clauses]


def parse_setting(raw: Any) -> Setting:
    """Read a value as written. Raises ValueError saying what is wrong."""
    if isinstance(raw, Setting):
        return raw
    if isinstance(raw, Mapping):
        return Setting((_clause(raw),))
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        if not raw:
            raise ValueError("a gradient must hold at least one value")
        if any(isinstance(item, Mapping) for item in raw):
            if not all(isinstance(item, Mapping) for item in raw):
                raise ValueError("each entry of a list with filters must be {value} or {filter, value}")
            return Setting(tuple(_clause(item) for item in raw))
    return Setting((Clause(_value(raw)),))


def coerced(setting: Setting, parameter: Parameter) -> Setting:
    """The setting with numbers that YAML reads as text (1e-5 without a point) turned into numbers."""

    def number(value: Scalar) -> Scalar:
        if not isinstance(value, str):
            return value
        try:
            return int(value) if parameter.kind == "int" else float(value)
        except ValueError:
            return value

    return setting.map(number) if parameter.kind in ("float", "int") else setting


def _clause(raw: Mapping[Any, Any]) -> Clause:
    unknown = [str(key) for key in raw if key not in ("value", "filter")]
    if unknown or "value" not in raw:
        raise ValueError(f"an entry must hold value and filter only, not {', '.join(map(str, raw)) or 'nothing'}")
    pattern = raw.get("filter")
    if pattern is not None and (not isinstance(pattern, str) or not pattern):
        raise ValueError("a filter must be a part of tensor names")
    return Clause(_value(raw["value"]), None if pattern == EVERYTHING else pattern)


def _value(raw: Any) -> Scalar | tuple[Scalar, ...]:
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        if not raw:
            raise ValueError("a gradient must hold at least one value")
        points = tuple(_scalar(item) for item in raw)
        if len({_kind(point) for point in points}) > 1:
            raise ValueError("a gradient must hold values of one kind")
        return points
    return _scalar(raw)


def _kind(value: Scalar) -> str:
    if isinstance(value, bool):
        return "truth"
    try:
        float(value)
    except ValueError:
        return "word"
    return "number"


def _scalar(raw: Any) -> Scalar:
    if isinstance(raw, bool | int | float | str):
        return raw
    got = "nothing" if raw is None else type(raw).__name__
    raise ValueError(f"a value must be a number, true, false, a word, a list of them, or filter and value, not {got}")


def _mapped(value: Scalar | tuple[Scalar, ...], change: Callable[[Scalar], Scalar]) -> Scalar | tuple[Scalar, ...]:
    return tuple(change(point) for point in value) if isinstance(value, tuple) else change(value)


def _plain(value: Scalar | tuple[Scalar, ...]) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _clause_written(clause: Clause) -> Any:
    found = {"filter": clause.filter} if clause.filter is not None else {}
    return {**found, "value": _plain(clause.value)}


_SCALAR = {"type": ["number", "boolean", "string"]}
_VALUE = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}
_CLAUSE = {
    "type": "object",
    "properties": {"value": _VALUE, "filter": {"type": "string", "minLength": 1}},
    "required": ["value"],
    "additionalProperties": False,
}
SETTING_SCHEMA: dict[str, Any] = {
    "description": "A value, a gradient from the first layer to the last, or a list of {filter, value}.",
    "anyOf": [_VALUE, _CLAUSE, {"type": "array", "items": _CLAUSE, "minItems": 1}],
}

SettingField: TypeAlias = Annotated[
    Setting,
    PlainValidator(parse_setting),
    PlainSerializer(lambda setting: setting.written()),
    WithJsonSchema(SETTING_SCHEMA),
]
