"""The result of a comparison as plain data: scores, paired contrasts, axes; the report draws it, a file holds it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from suture.errors import BadInputError, Problem

Verdict = Literal["kept", "forgotten", "not established at this n", "no headroom", "descriptive"]
Family = Literal["primary", "secondary", "parents", "none"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval: bounds in the metric's unit, its level and the method that made it."""

    low: float
    high: float
    level: float
    method: str


NO_INTERVAL = Interval(math.nan, math.nan, 0.95, "")


@dataclass(frozen=True, slots=True)
class Margin:
    """What loss counts as forgetting, fixed before any model is run.

    value: the largest tolerated loss, in the metric's unit, positive. reason: why this one. planning_sd: the standard
    deviation of a paired difference of one item that planning assumes, with its origin in planning_source; NaN where
    nothing was planned.
    """

    axis: str
    task: str
    metric: str
    value: float
    reason: str
    planning_sd: float = math.nan
    planning_source: str = ""


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

    forgotten and gained are shares of items 1->0 and 0->1 (NaN for metrics that are not 0/1, or of which less is
    better); forgotten_items and gained_items name them. flip_rate is the share of items whose 0/1 score differs. With
    `chance`, the mean hit rate of guessing, known (`suture.compare.guessing`), the *_above_chance shares are corrected
    for it. retention = model's mean / against's
    mean. margin is NaN where none was stated. mde is the smallest margin provable, and equally the smallest difference
    detectable, at 80 % power at this n with the spread seen.

    p_value is of `test`, for no difference; p_adjusted holds within `family` by `correction`; verdicts read neither.
    mcnemar_p is the exact McNemar p-value of a 0/1 metric, which takes items as independent: it is p_value where no
    cluster holds two of them.

    noninferiority_p is the one-sided p-value of a loss of at least the margin, noninferiority_p_adjusted Holm's over
    all stated margins of all models but the parents: below 0.025, "kept" holds for all of them at once.

    sd is the standard deviation of one item's difference. quantiles are its minimum, 5, 25, 50, 75, 95 % points and
    maximum; histogram counts the items in equal bins from the minimum to the maximum (both empty for 0/1 metrics).
    worst_items are the up to ten items with the greatest loss, the worst first (0/1 metrics: see forgotten_items).
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
    p_adjusted: float = math.nan
    correction: str = ""
    family: Family = "none"
    mcnemar_p: float = math.nan
    forgotten_interval: Interval = NO_INTERVAL
    gained_interval: Interval = NO_INTERVAL
    chance: float = math.nan
    forgotten_above_chance: float = math.nan
    forgotten_above_chance_interval: Interval = NO_INTERVAL
    gained_above_chance: float = math.nan
    gained_above_chance_interval: Interval = NO_INTERVAL
    flip_rate: float = math.nan
    flip_interval: Interval = NO_INTERVAL
    retention_interval: Interval = NO_INTERVAL
    noninferiority_p: float = math.nan
    noninferiority_p_adjusted: float = math.nan
    sd: float = math.nan
    quantiles: tuple[float, ...] = ()
    histogram: tuple[int, ...] = ()
    worst_items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recovered:
    """How much of the gap between the parents a model makes up: (model - clinical) / (general - clinical), paired.

    0 stands for the clinical parent's score and 1 for the general parent's, whichever is better; values outside
    [0, 1] lie beyond a parent. NaN where the parents' means are equal. interval.method says "unbounded" where the
    parents are not established to differ, and then the value says nothing either.
    """

    model: str
    general: str
    clinical: str
    task: str
    metric: str
    n: int
    clusters: int
    value: float
    interval: Interval


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
    """Everything that a comparison found. models are labels in the order given; against are the parents' labels.

    primary holds the declared primary metrics as (task, metric), floors the scores of the answers that read nothing
    (model: the floor's name), replicates the contrasts of a model with itself evaluated twice (A/A), signatures task ->
    metric -> how it is computed, prompts task -> digest over the items' prompt digests, seed that of all resampling.
    """

    models: tuple[str, ...]
    against: tuple[str, ...]
    digests: Mapping[str, str]
    scores: tuple[Score, ...]
    contrasts: tuple[Contrast, ...]
    axes: tuple[Axis, ...]
    margins: tuple[Margin, ...]
    notes: tuple[str, ...] = field(default=())
    recovered: tuple[Recovered, ...] = ()
    replicates: tuple[Contrast, ...] = ()
    floors: tuple[Score, ...] = ()
    primary: tuple[tuple[str, str], ...] = ()
    signatures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    def score(self, model: str, task: str, metric: str) -> Score | None:
        """Return the score of `model` on one metric, None where it was not measured."""
        found = (s for s in self.scores if (s.model, s.task, s.metric) == (model, task, metric))
        return next(found, None)

    def contrast(self, model: str, against: str, task: str, metric: str) -> Contrast | None:
        """Return the paired contrast of `model` against a parent on one metric, None where there is none."""
        wanted = (model, against, task, metric)
        return next((c for c in self.contrasts if (c.model, c.against, c.task, c.metric) == wanted), None)


def as_json(value: Any) -> Any:
    """Return a comparison, or a part of it, as JSON-able values: NaN becomes null, tuples lists."""
    return _null_for_nan(value if isinstance(value, Mapping | list | tuple) else asdict(value))


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write comparison.json, whole or not at all, mode 0600 since it names items; NaN is written as null."""
    text = json.dumps(as_json(comparison), indent=1, sort_keys=True, allow_nan=False)
    staging = path.with_name(path.name + ".partial")
    staging.unlink(missing_ok=True)
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    staging.replace(path)


def read_comparison(path: Path) -> Comparison:
    """Read comparison.json back; null becomes NaN where a number stands. Raises BadInputError where it is none."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        found: dict[str, Any] = {
            name: tuple(kind(**_numbers(row)) for row in raw.get(name, ())) for name, kind in _ROWS.items()
        }
        plain = {f.name: raw[f.name] for f in fields(Comparison) if f.name in raw and f.name not in _ROWS}
        for name in ("models", "against", "notes"):
            plain[name] = tuple(plain[name])
        plain["primary"] = tuple((task, metric) for task, metric in plain.get("primary", ()))
        return Comparison(**plain, **found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        must = "A comparison must be read from a comparison.json as `suture compare --out` writes it."
        raise BadInputError(Problem(must, type(error).__name__, str(path))) from None


_ROWS: dict[str, Any] = {
    "scores": Score,
    "contrasts": Contrast,
    "axes": Axis,
    "margins": Margin,
    "recovered": Recovered,
    "replicates": Contrast,
    "floors": Score,
}


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
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
