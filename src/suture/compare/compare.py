"""Compare models with their parents, paired by item: scores, contrasts, and a verdict where a margin was stated.

A verdict reads the 95 % interval of the difference model - parent against the margin m (for a metric of which less is
better, the difference is negated first):

| low end > -m | high end < 0 | verdict |
|---|---|---|
| yes | either | kept: the loss, if there is one, is smaller than what was tolerated beforehand |
| no | yes | forgotten: a loss is established, and that it is tolerable is not |
| no | no | not established at this n: neither is |

A significant loss within the margin is therefore "kept": the margin, not p < 0.05, was agreed to matter; the
contrast's own interval shows the loss. "Forgotten" does not ask that the whole interval lie beyond the margin
(high end < -m), since then a loss that no one doubts would go unnamed at small n. "No headroom" stands where the axis
has none (see `suture.compare.axes`), "descriptive" where no margin was stated. Drift never carries a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from suture.compare.axes import make_axis, orientation, score_floors, score_table
from suture.compare.pairing import (
    Paired,
    Table,
    binary_metrics,
    check_same_items,
    metrics_of,
    pair,
    read_results,
    tasks_of,
    weights_of,
)
from suture.compare.power import smallest_margin
from suture.compare.statistics import estimate_difference, mcnemar, permutation
from suture.compare.verdicts import Axis, Comparison, Contrast, Interval, Margin, Score, Verdict
from suture.errors import Problem, UsageError, refuse

Results = Mapping[str, Mapping[str, Table]]


def compare(
    results: Mapping[str, Path],
    *,
    against: Sequence[str],
    floors: Mapping[str, Path] | None = None,
    margins: Sequence[Margin] = (),
    seed: int = 0,
) -> Comparison:
    """Compare every model with each of the parents named in `against`, on every metric that both have.

    results maps a label to the folder results/<weights digest, 12>, floors a floor's label to its folder, margins say
    which losses are tolerated. Items that are unscored for one of a pair are dropped from it; n says how many remain.
    Raises UsageError for a parent or margin that no result answers to, BadInputError for unreadable results, and
    IncompatibleError where models answered different items or prompts.
    """
    tables = {label: read_results(folder) for label, folder in results.items()}
    _check_request(tables, against, margins)
    check_same_items(tables)
    binary = binary_metrics(tables)
    scores = tuple(_scores(tables, binary, seed))
    axes = tuple(_axes(scores, against, margins, score_floors(floors or {}, binary=binary, seed=seed)))
    stated = {(margin.task, margin.metric): margin.value for margin in margins}
    headroom = {(axis.task, axis.metric): axis.headroom for axis in axes}
    contrasts = tuple(
        contrast_tables(
            (label, tables[label][task]),
            (parent, tables[parent][task]),
            task,
            metric,
            binary=(task, metric) in binary,
            margin=stated.get((task, metric), math.nan),
            headroom=headroom.get((task, metric), True),
            seed=seed,
        )
        for label, parent, task, metric in _pairs(tables, against)
    )
    return Comparison(
        models=tuple(results),
        against=tuple(against),
        digests={label: weights_of(found) for label, found in tables.items()},
        scores=scores,
        contrasts=contrasts,
        axes=axes,
        margins=tuple(margins),
        notes=tuple(_gaps(tables)),
    )


def contrast_tables(
    model: tuple[str, Table],
    against: tuple[str, Table],
    task: str,
    metric: str,
    *,
    binary: bool,
    margin: float = math.nan,
    headroom: bool = True,
    seed: int = 0,
) -> Contrast:
    """Return the paired contrast of two labelled tables of the same items on one metric that both have."""
    paired = pair(model[1], against[1], metric)
    found = estimate_difference(paired.model, paired.against, paired.clusters, binary=binary, seed=seed)
    flips = binary and orientation(metric) > 0
    share = 1 / found.n if flips else math.nan
    lost = _where(paired.items, paired.model < paired.against) if flips else ()
    gained = _where(paired.items, paired.model > paired.against) if flips else ()
    return Contrast(
        model=model[0],
        against=against[0],
        task=task,
        metric=metric,
        n=found.n,
        clusters=found.clusters,
        difference=found.value,
        interval=found.interval,
        retention=_retention(float(paired.model.mean()), float(paired.against.mean()), metric),
        forgotten=len(lost) * share,
        gained=len(gained) * share,
        forgotten_items=lost,
        gained_items=gained,
        margin=margin,
        mde=smallest_margin(found.clusters, found.error * math.sqrt(found.clusters)),
        verdict=judge(found.interval, margin, orientation(metric), headroom=headroom),
        p_value=_p_value(paired, binary=binary, seed=seed),
        test="exact McNemar" if binary else "paired permutation",
    )


def judge(interval: Interval, margin: float, sign: int = 1, *, headroom: bool = True) -> Verdict:
    """Return the verdict of the module's table; margin is NaN where none was stated, sign -1 where less is better."""
    if math.isnan(margin):
        return "descriptive"
    if not headroom:
        return "no headroom"
    low, high = (interval.low, interval.high) if sign > 0 else (-interval.high, -interval.low)
    if low > -margin:
        return "kept"
    return "forgotten" if high < 0 else "not established at this n"


def _p_value(paired: Paired, *, binary: bool, seed: int) -> float:
    if binary:
        return mcnemar(int((paired.model < paired.against).sum()), int((paired.model > paired.against).sum()))
    return permutation(paired.model - paired.against, paired.clusters, seed=seed)


def _where(items: Sequence[str], mask: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(item for item, chosen in zip(items, mask, strict=True) if chosen)


def _retention(model: float, against: float, metric: str) -> float:
    """Model's share of the parent's mean; NaN where a ratio says nothing: no positive parent, or less is better."""
    return model / against if against > 0 and orientation(metric) > 0 else math.nan


def _scores(tables: Results, binary: Collection[tuple[str, str]], seed: int) -> Iterator[Score]:
    for label, found in tables.items():
        for task, table in found.items():
            for metric in metrics_of(table):
                yield score_table(label, task, table, metric, binary=(task, metric) in binary, seed=seed)


def _pairs(tables: Results, against: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    for label in tables:
        for parent in against:
            for task in sorted(tables[label].keys() & tables[parent].keys()) if label != parent else ():
                model, other = tables[label][task], tables[parent][task]
                for metric in metrics_of(model):
                    if pair(model, other, metric).items:
                        yield label, parent, task, metric


def _axes(
    scores: Sequence[Score],
    against: Sequence[str],
    margins: Sequence[Margin],
    floors: Mapping[tuple[str, str], Score],
) -> Iterator[Axis]:
    for margin in margins:
        key = (margin.task, margin.metric)
        parents = [score for score in scores if score.model in against and (score.task, score.metric) == key]
        yield make_axis(margin, floors.get(key), parents)


def _gaps(tables: Results) -> Iterator[str]:
    for task in tasks_of(tables):
        missing = [label for label, found in tables.items() if task not in found]
        if missing:
            yield f"{task} was not evaluated for {', '.join(missing)}."


def _check_request(tables: Results, against: Sequence[str], margins: Sequence[Margin]) -> None:
    problems = [
        Problem("Each parent must be one of the models.", f"{label!r}", "against", f"Name one of {sorted(tables)}.")
        for label in against
        if label not in tables
    ]
    known = {(t, m) for found in tables.values() for t, table in found.items() for m in metrics_of(table)}
    keys = [(margin.task, margin.metric) for margin in margins]
    for margin, key in zip(margins, keys, strict=True):
        where = f"margin of {margin.task} {margin.metric}"
        if key not in known:
            do = "Evaluate that task or remove the margin."
            problems.append(Problem("A margin must name a task and metric with results.", "none", where, do))
        if not margin.value > 0:
            problems.append(Problem("A margin must be a positive number.", f"{margin.value}", where))
        if margin.metric.startswith("kl_to_"):
            problems.append(
                Problem("A margin must not stand on drift, which is a distance.", "one", where, "Remove it.")
            )
        if keys.count(key) > 1:
            problems.append(Problem("A metric must have one margin.", f"{keys.count(key)}", where, "Keep one."))
    refuse(UsageError, problems)
