"""Points of a space as recipes: the dimensions that vary, the grid where they are few, and the recipe of a point."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml
from blake3 import blake3

from suture.methods.registry import MethodInfo
from suture.search.space import COEFFICIENT, Space, bounds, declared

METHOD: Final = "method"
BATCH: Final = 4
"""Candidates that are proposed at once where nobody says: a surrogate learns from each batch, workers share one."""

Point = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One number or word that varies: parameter, part of the tensors (None: those of no filter), anchor of a gradient.

    methods: those that take it; a point of another method does not have it. choices: the words, else a range.
    """

    name: str
    parameter: str
    filter: str | None
    anchor: int
    methods: tuple[str, ...]
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    whole: bool = False

    def grid(self) -> tuple[Any, ...] | None:
        """Return all values, low to high; None where the dimension is continuous."""
        if self.choices:
            return self.choices
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step * (1 + 1e-12)) + 1
        values = [round(self.low + k * self.step, 12) for k in range(count)]
        return tuple(int(value) for value in values) if self.whole else tuple(values)

    def middle(self) -> Any:
        """Return a value in the middle."""
        values = self.grid()
        return values[len(values) // 2] if values is not None else (self.low + self.high) / 2


def dimensions(space: Space) -> tuple[Dimension, ...]:
    """Return every dimension in the order of the file."""
    return tuple(d for name in space.vary for d in _of_parameter(space, name))


def _of_parameter(space: Space, name: str) -> list[Dimension]:
    varied = space.vary[name]
    takers = {m: p for m in space.methods if (p := declared(space, name, m)) is not None}
    kinds = list(takers.values())
    low = max(bounds(varied, p, name)[0] for p in kinds)
    high = min(bounds(varied, p, name)[1] for p in kinds)
    choices = varied.choices or ()
    if not choices and kinds[0].kind in ("bool", "choice"):
        choices = (False, True) if kinds[0].kind == "bool" else kinds[0].choices
    whole = kinds[0].kind == "int" and not choices
    step = varied.step or (1.0 if whole else None)
    groups: list[str | None] = [*varied.filters, None]
    found = []
    for group, anchor in itertools.product(groups, range(varied.anchors)):
        label = name + (f".{group or 'rest'}" if varied.filters else "")
        label += f"[{anchor}]" if varied.anchors > 1 else ""
        place = (label, name, group, anchor, tuple(takers))
        found.append(Dimension(*place, choices) if choices else Dimension(*place, (), low, high, step, whole))
    return found


def of_method(space: Space, method: str) -> tuple[Dimension, ...]:
    """Return the dimensions that `method` takes."""
    return tuple(d for d in dimensions(space) if method in d.methods)


def trial_point(space: Space, method: str) -> Point:
    """Return a point of `method` in the middle of everything."""
    return {METHOD: method, **{d.name: d.middle() for d in of_method(space, method)}}


def grid(space: Space) -> list[Point] | None:
    """Return all points where no dimension is continuous and they are at most `candidates`, else None."""
    points: list[Point] = []
    for method in space.methods:
        own = of_method(space, method)
        axes = [d.grid() for d in own]
        if any(axis is None for axis in axes):
            return None
        if len(points) + math.prod(len(axis) for axis in axes if axis) > space.candidates:
            return None
        names = [d.name for d in own]
        rows = itertools.product(*[axis for axis in axes if axis is not None])
        points += [{METHOD: method, **dict(zip(names, row, strict=True))} for row in rows]
    return points


def rounds(space: Space) -> int:
    """Return in how many batches candidates are proposed: `batches`; by default one for a grid, else of four each."""
    if space.batches is not None:
        return space.batches
    return 1 if grid(space) is not None else -(-space.candidates // BATCH)


def sampler(space: Space) -> str:
    """Return what proposes after the first batch: by default "gp" where one method's numbers vary, else "tpe"."""
    if space.sampler != "auto":
        return space.sampler
    return "gp" if len(space.methods) == 1 and not any(d.choices for d in dimensions(space)) else "tpe"


def recipe_of(space: Space, point: Point) -> str:
    """Return the recipe of a point, as YAML."""
    method, template = str(point[METHOD]), space.recipe
    info = space.infos[method]
    names = {parameter.name for parameter in info.parameters}
    parameters: dict[str, Any] = {key: value for key, value in template.parameters.items() if key in names}
    way: Any = None
    for name in space.vary:
        own = [d for d in of_method(space, method) if d.parameter == name]
        if own and name == COEFFICIENT:
            way = own
        elif own:
            parameters[name] = _setting(own, point, lambda value: value)
    body: dict[str, Any] = {"merge_method": method, "general": template.general, "clinical": template.clinical}
    body |= _models(space, info, way, point, parameters)
    if parameters:
        body["parameters"] = parameters
    if template.dtype is not None:
        body["dtype"] = template.dtype
    if template.rounding != "stochastic":
        body["rounding"] = template.rounding
    if template.seed:
        body["seed"] = template.seed
    return yaml.safe_dump(body, sort_keys=False)


def parent_recipe(space: Space, role: str) -> str:
    """Return the recipe that makes the parent in `role` itself, with the tokenizer of the general one."""
    template = space.recipe
    models = [
        {"model": model, "parameters": {"weight": float(name == role)}}
        for name, model in (("general", template.general), ("clinical", template.clinical))
    ]
    body: dict[str, Any] = {"merge_method": "linear", "general": template.general, "clinical": template.clinical}
    body |= {"models": models} | ({"dtype": template.dtype} if template.dtype else {})
    return yaml.safe_dump(body, sort_keys=False)


def digest_of(recipe: str, parents: Sequence[str]) -> str:
    """Return the BLAKE3 of a recipe and of its parents' weights digests: the candidate's name in the cache."""
    return blake3("\n".join([recipe, *parents]).encode()).hexdigest()


def describe(point: Point) -> str:
    """Return the point in words, for tables: "linear, coefficient 0.25"."""
    rest = [f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in point.items()]
    return ", ".join([str(point[METHOD]), *[words for words in rest if not words.startswith(f"{METHOD} ")]])


def canonical(point: Point) -> str:
    """Return the point as one line of JSON, keys sorted."""
    return json.dumps(dict(point), sort_keys=True)


def _models(
    space: Space, info: MethodInfo, way: Sequence[Dimension] | None, point: Point, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Return models and base; the coefficient becomes t of an arc, or the two weights (1 - c, c)."""
    template = space.recipe
    arc = info.base == "required" and info.max_inputs == 2
    if arc:
        if way is not None:
            parameters["t"] = _setting(way, point, lambda value: value)
        return {"base_model": template.general, "models": [{"model": template.clinical}]}
    entries: list[dict[str, Any]] = [{"model": template.general}, {"model": template.clinical}]
    if way is not None:
        entries[0]["parameters"] = {"weight": _setting(way, point, lambda value: round(1.0 - value, 12))}
        entries[1]["parameters"] = {"weight": _setting(way, point, lambda value: value)}
    base = {"base_model": template.base_model} if info.base != "none" and template.base_model else {}
    return {**base, "models": entries}


def _setting(own: Sequence[Dimension], point: Point, change: Any) -> Any:
    groups: dict[str | None, list[Any]] = {}
    for dimension in own:
        groups.setdefault(dimension.filter, []).append(change(point[dimension.name]))
    plain = {group: values if len(values) > 1 else values[0] for group, values in groups.items()}
    if len(plain) == 1:
        return plain[None]
    return [{"value": value} if group is None else {"filter": group, "value": value} for group, value in plain.items()]
