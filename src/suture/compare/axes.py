"""Axes and their headroom: the best trivial answer of a metric, and whether a parent is clear of it.

A parent is clear of the floor when its score is better than the whole interval of the floor and the floor's score worse
than the whole interval of the parent (the second matters for floors without spread, such as a chance level). Where no
parent is clear, there is nothing to forget: "no headroom", and no verdict is given. That includes parents that score
worse than the floor.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from suture.compare.bounded import value_range
from suture.compare.pairing import Table, column, metrics_of, read_results
from suture.compare.statistics import LEVEL, estimate_mean, is_binary
from suture.compare.verdicts import Axis, Interval, Margin, Score

LOWER_IS_BETTER = (
    *("answer_nll", "fact_omission", "fact_fabrication"),
    *("repetition", "language_mixing", "refusal", "empty", "truncated", "exposure", "extracted"),
)


def orientation(metric: str) -> int:
    """Return 1 where a higher value of `metric` is better, -1 where a lower one is."""
    return -1 if metric in LOWER_IS_BETTER else 1


def score_table(label: str, task: str, table: Table, metric: str, *, binary: bool, seed: int = 0) -> Score:
    """Return the mean of one metric of one model or floor with its interval; `binary` says that the metric is 0/1.

    A floor may be the expected share of a 0/1 metric (chance 0.25): it varies like that share of independent items.
    """
    values, clusters = column(table, metric)
    binary = binary and float(values.max()) <= 1  # a count may happen to be 0 or 1 for every model and not for a floor
    if binary and not is_binary(values):
        clusters = tuple(map(str, range(len(values))))
    found = estimate_mean(values, clusters, binary=binary, bounds=value_range(metric, values), seed=seed)
    return Score(label, task, metric, found.n, found.clusters, found.value, found.interval)


def score_floors(
    floors: Mapping[str, Path], *, binary: Collection[tuple[str, str]] = (), seed: int = 0
) -> dict[tuple[str, str], Score]:
    """Return the best floor of each (task, metric); see `every_floor` for the arguments."""
    return best_floors(every_floor(floors, binary=binary, seed=seed))


def best_floors(floors: Iterable[Score]) -> dict[tuple[str, str], Score]:
    """Return the best of the floors' scores for each (task, metric), the first of equals."""
    best: dict[tuple[str, str], Score] = {}
    for score in floors:
        held = best.get((score.task, score.metric))
        if held is None or orientation(score.metric) * (score.value - held.value) > 0:
            best[score.task, score.metric] = score
    return best


def every_floor(
    floors: Mapping[str, Path], *, binary: Collection[tuple[str, str]] = (), seed: int = 0
) -> Iterator[Score]:
    """Yield the scores of all floors; `floors` maps a label such as "constant" to its result folder.

    binary lists the 0/1 metrics, as the models' scores show them; before a run, when only values matter, it is empty.
    """
    for label, folder in floors.items():
        for task, table in read_results(folder).items():
            for metric in metrics_of(table):
                yield score_table(label, task, table, metric, binary=(task, metric) in binary, seed=seed)


def make_axis(margin: Margin, floor: Score | None, parents: Sequence[Score]) -> Axis:
    """Return the axis of one stated margin: `floor` is the best one known, `parents` are their scores."""
    clear = [score.model for score in parents if floor is None or _is_clear(score, floor)]
    return Axis(
        axis=margin.axis,
        task=margin.task,
        metric=margin.metric,
        n=max((score.n for score in parents), default=0),
        floor=floor.model if floor else "",
        floor_value=floor.value if floor else math.nan,
        floor_interval=floor.interval if floor else Interval(math.nan, math.nan, LEVEL, "no floor"),
        headroom=bool(clear),
        note=_note(floor, clear, [score.model for score in parents]),
    )


def _is_clear(score: Score, floor: Score) -> bool:
    if orientation(score.metric) > 0:
        return score.value > floor.interval.high and score.interval.low > floor.value
    return score.value < floor.interval.low and score.interval.high < floor.value


def _note(floor: Score | None, clear: Sequence[str], parents: Sequence[str]) -> str:
    if floor is None:
        return "no floor is known for this metric"
    if not clear:
        return f"no headroom: {' and '.join(parents)} lie within the {floor.model} floor's interval or below it"
    return f"clear of the {floor.model} floor: {', '.join(clear)}"
