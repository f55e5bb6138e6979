"""The result of a comparison as plain data: scores, paired contrasts, axes; the report draws it, a file holds it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Verdict = Literal["kept", "forgotten", "not established at this n", "no headroom", "descriptive"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval: bounds in the metric's unit, its level and the method that made it."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class Margin:
    """What loss counts as forgetting, fixed before any model is run.

    value: the largest tolerated loss, in the metric's unit, positive. reason: why this one. planning_sd: the standard
    deviation of a paired difference of one item that planning assumes, with its origin in planning_source.
    """

    axis: str
    task: str
    metric: str
    value: float
    reason: str
    planning_sd: float
    planning_source: str


@dataclass(frozen=True, slots=True)
class Score:
    """Mean of one metric of one model. n counts items with a score, clusters the encounters or topics they stand in."""

    model: str
    task: str
    metric: str
    n: int
    clusters: int
    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Contrast:
    """One model against one parent, paired by item: difference = model - against, in the metric's unit.

    forgotten and gained are shares of items 1->0 and 0->1 (NaN for metrics that are not 0/1); forgotten_items and
    gained_items name them. p_value is of `test`, for no difference, not corrected for the number of contrasts; verdicts
    do not read it. retention = model's mean / against's mean. margin is NaN where none was stated. mde is the
    smallest margin provable at 80 % power at this n with the spread seen.
    """

    model: str
    against: str
    task: str
    metric: str
    n: int
    clusters: int
    difference: float
    interval: Interval
    retention: float
    forgotten: float
    gained: float
    forgotten_items: tuple[str, ...]
    gained_items: tuple[str, ...]
    margin: float
    mde: float
    verdict: Verdict
    p_value: float = math.nan
    test: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """One task's metric as an axis: its floor, and whether the parents differ from the floor and from one another.

    headroom is False where both parents lie within the floor's interval: then no verdict is given.
    """

    axis: str
    task: str
    metric: str
    n: int
    floor: str
    floor_value: float
    floor_interval: Interval
    headroom: bool
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a comparison found. models are labels in the order given; against are the parents' labels."""

    models: tuple[str, ...]
    against: tuple[str, ...]
    digests: Mapping[str, str]
    scores: tuple[Score, ...]
    contrasts: tuple[Contrast, ...]
    axes: tuple[Axis, ...]
    margins: tuple[Margin, ...]
    notes: tuple[str, ...] = field(default=())

    def score(self, model: str, task: str, metric: str) -> Score | None:
        """Return the score of `model` on one metric, None where it was not measured."""
        found = (s for s in self.scores if (s.model, s.task, s.metric) == (model, task, metric))
        return next(found, None)

    def contrast(self, model: str, against: str, task: str, metric: str) -> Contrast | None:
        """Return the paired contrast of `model` against a parent on one metric, None where there is none."""
        wanted = (model, against, task, metric)
        return next((c for c in self.contrasts if (c.model, c.against, c.task, c.metric) == wanted), None)


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write comparison.json, whole or not at all; NaN is written as null."""
    staging = path.with_name(path.name + ".partial")
    text = json.dumps(_null_for_nan(asdict(comparison)), indent=1, sort_keys=True, allow_nan=False)
    staging.write_text(text, encoding="utf-8")
    staging.replace(path)


def read_comparison(path: Path) -> Comparison:
    """Read comparison.json back; null becomes NaN where a number stands."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Comparison(
        models=tuple(raw["models"]),
        against=tuple(raw["against"]),
        digests=raw["digests"],
        scores=tuple(Score(**_numbers(row)) for row in raw["scores"]),
        contrasts=tuple(Contrast(**_numbers(row)) for row in raw["contrasts"]),
        axes=tuple(Axis(**_numbers(row)) for row in raw["axes"]),
        margins=tuple(Margin(**_numbers(row)) for row in raw["margins"]),
        notes=tuple(raw["notes"]),
    )


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, Mapping):
        return {key: _null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_null_for_nan(item) for item in value]
    return value


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    for key, value in row.items():
        if value is None:
            fixed[key] = float("nan")
        elif isinstance(value, dict):
            fixed[key] = Interval(**_numbers(value))
        elif isinstance(value, list):
            fixed[key] = tuple(value)
        else:
            fixed[key] = value
    return fixed
