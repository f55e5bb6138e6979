"""Learning curves over shots, and shots-to-parity: how few examples a merged start needs to be as good as the others.

Parity is the smallest number of shots of a grid from which on, at all larger numbers of the grid too, the merged start
is non-inferior by a stated margin to every rival at its own largest number of shots. "Not reached" is a value. The
first crossing of noisy means is not used: where curves lie close together it comes too early, the more so the finer
the grid.

Everything is bootstrapped in two levels: the seeds (each draws its shots and orders its training), the same for all
starts, since a seed gives all of them the same shots; and the clusters of items, the same for all models. With few
seeds the first level is coarse: three of them give ten different draws.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.compare.statistics import Vector
from suture.compare.verdicts import Interval, as_json
from suture.errors import Problem, UsageError, refuse

Matrix = NDArray[np.float64]
Cell = tuple[str, int]  # start, shots
RESAMPLES = 2000
LEVEL = 0.95
METHOD = "bootstrap of seeds and clusters, percentile"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Mean of one metric at one start and number of shots, over seeds and items, in the metric's unit."""

    start: str
    shots: int
    seeds: int
    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Rivalry:
    """Merged start at `shots` minus a rival at its largest number of shots. holds: the interval's low end > -margin."""

    shots: int
    rival: str
    difference: float
    interval: Interval
    holds: bool


@dataclass(frozen=True, slots=True)
class Parity:
    """Shots to parity of one metric; None everywhere means "not reached" on the grid.

    established: by the intervals' low ends, the number that a claim may name. estimate: by the mean differences.
    low, high: bounds of the estimate over the bootstrap, None where a bound is "not reached". shares: for each number
    of shots the share of resamples in which it is the parity; not_reached is the share of the others.
    """

    start: str
    rivals: tuple[str, ...]
    largest: int
    margin: float
    established: int | None
    estimate: int | None
    low: int | None
    high: int | None
    shares: Mapping[int, float]
    not_reached: float
    rivalries: tuple[Rivalry, ...]
    level: float = LEVEL


class Curves:
    """Scores of one metric over starts, shots, seeds and the same items, resampled once for all questions.

    cells: (start, shots) -> matrix of shape (seeds, items), finite, larger is better; the start itself (0 shots) has
    one row, every other cell as many as there are seeds. clusters: one name an item. Raises UsageError naming every
    cell that does not fit.
    """

    def __init__(
        self, cells: Mapping[Cell, Matrix], clusters: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
    ) -> None:
        refuse(UsageError, _problems(cells, clusters))
        self.cells = cells
        self.starts = tuple(dict.fromkeys(start for start, _ in cells))
        self.grid = tuple(sorted({shots for _, shots in cells}))
        names, index = np.unique(np.asarray(clusters), return_inverse=True)
        member = np.zeros((len(names), len(clusters)))
        member[index, np.arange(len(clusters))] = 1.0
        generator = np.random.default_rng(seed)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples) @ member
        self._items = drawn / drawn.sum(1, keepdims=True)
        seeds = max(len(matrix) for matrix in cells.values())
        self._seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds

    def mean(self, cell: Cell) -> float:
        """Return the mean of a cell over seeds and items."""
        return float(self.cells[cell].mean())

    def resampled(self, cell: Cell) -> Vector:
        """Return the mean of a cell in every resample, shape (resamples,)."""
        by_seed: Matrix = self._items @ self.cells[cell].T
        means: Vector = by_seed[:, 0] if by_seed.shape[1] == 1 else (by_seed * self._seeds).sum(1)
        return means

    def points(self) -> tuple[CurvePoint, ...]:
        """Return the curve of every start, by rising shots."""
        order = sorted(self.cells, key=lambda cell: (self.starts.index(cell[0]), cell[1]))
        return tuple(
            CurvePoint(*cell, len(self.cells[cell]), self.mean(cell), _interval(self.resampled(cell))) for cell in order
        )

    def parity(self, start: str, rivals: Sequence[str], margin: float) -> Parity:
        """Return the shots to parity of `start` with every one of `rivals` at the largest number of shots.

        margin: the tolerated loss in the metric's unit, > 0. Raises UsageError for a start or rival without cells.
        """
        largest = self.grid[-1]
        wanted = [(start, shots) for shots in self.grid] + [(rival, largest) for rival in rivals]
        absent = [f"none of {name} at {shots} shots" for name, shots in wanted if (name, shots) not in self.cells]
        refuse(UsageError, [Problem("A curve must have every point.", got) for got in absent])
        rows, beaten = [], np.zeros((len(self._items), len(self.grid)), bool)
        for column, shots in enumerate(self.grid):
            differences = [self.resampled((start, shots)) - self.resampled((rival, largest)) for rival in rivals]
            beaten[:, column] = np.all(np.array(differences) > -margin, axis=0)
            for rival, values in zip(rivals, differences, strict=True):
                gap, interval = self.mean((start, shots)) - self.mean((rival, largest)), _interval(values)
                rows.append(Rivalry(shots, rival, gap, interval, interval.low > -margin))
        reached = [from_then_on(row) for row in beaten]
        places = np.array([len(self.grid) if place is None else place for place in reached])
        shares = {shots: float((places == column).mean()) for column, shots in enumerate(self.grid)}
        low, high = (int(np.quantile(places, q, method="inverted_cdf")) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        held = [all(row.holds for row in rows if row.shots == shots) for shots in self.grid]
        means = [all(row.difference > -margin for row in rows if row.shots == shots) for shots in self.grid]
        return Parity(
            start=start,
            rivals=tuple(rivals),
            largest=largest,
            margin=margin,
            established=self._shots(from_then_on(held)),
            estimate=self._shots(from_then_on(means)),
            low=self._shots(low),
            high=self._shots(high),
            shares=shares,
            not_reached=float((places == len(self.grid)).mean()),
            rivalries=tuple(rows),
        )

    def _shots(self, place: int | None) -> int | None:
        return None if place is None or place >= len(self.grid) else self.grid[place]


def from_then_on(holds: Sequence[bool] | NDArray[np.bool_]) -> int | None:
    """Return the first place from which on everything holds, None where the last does not."""
    place = len(holds)
    while place > 0 and holds[place - 1]:
        place -= 1
    return None if place == len(holds) else place


def _interval(values: Vector) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL, METHOD)


def _problems(cells: Mapping[Cell, Matrix], clusters: Sequence[str]) -> list[Problem]:
    if not cells:
        return [Problem("A curve must have points.", "none")]
    seeds = max(len(matrix) for matrix in cells.values())
    problems = []
    for (start, shots), matrix in cells.items():
        where = f"{start}, {shots} shots"
        if matrix.ndim != 2 or matrix.shape[1] != len(clusters):
            problems.append(Problem("Scores must be (seeds, items).", f"shape {matrix.shape}", where))
        elif len(matrix) != seeds and not (shots == 0 and len(matrix) == 1):
            problems.append(Problem("Every point must have all seeds.", f"{len(matrix)} of {seeds}", where))
        elif not np.isfinite(matrix).all():
            problems.append(Problem("Every score must be finite.", "one that is not", where))
    return problems


@dataclass(frozen=True, slots=True)
class MetricCurves:
    """The learning curves of one metric of a task; parities of the merged starts where a margin was stated.

    clusters and items count what the curves rest on; left_out counts items that some model has no score for. adapted:
    to what the models were adapted, where one comparison holds several such tasks.
    """

    task: str
    metric: str
    items: int
    clusters: int
    left_out: int
    points: tuple[CurvePoint, ...]
    parities: tuple[Parity, ...] = ()
    adapted: str = ""


def curves_text(curves: Sequence[MetricCurves]) -> str:
    """Return the text of curves.json: "not reached" is null."""
    return json.dumps([as_json(found) for found in curves], indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_curves(path: Path, curves: Sequence[MetricCurves]) -> None:
    """Write curves.json."""
    path.write_text(curves_text(curves), encoding="utf-8")


def read_curves(path: Path) -> tuple[MetricCurves, ...]:
    """Read curves.json back."""
    return tuple(
        MetricCurves(**row | {
            "points": tuple(CurvePoint(**point | _spanned(point)) for point in row["points"]),
            "parities": tuple(_parity(parity) for parity in row["parities"]),
        })
        for row in json.loads(path.read_text(encoding="utf-8"))
    )  # fmt: skip


def _parity(row: Mapping[str, Any]) -> Parity:
    shares = {int(shots): share for shots, share in row["shares"].items()}
    rivalries = tuple(Rivalry(**rivalry | _spanned(rivalry)) for rivalry in row["rivalries"])
    return Parity(**{**row, "rivals": tuple(row["rivals"]), "shares": shares, "rivalries": rivalries})


def _spanned(row: Mapping[str, Any]) -> dict[str, Interval]:
    return {"interval": Interval(**row["interval"])}
