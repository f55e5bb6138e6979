"""Compare models with their parents, paired by item: scores, contrasts, recovered shares, corrected p-values.

What one contrast holds stands in `suture.compare.contrasts`, with the table of verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from suture.compare.axes import best_floors, make_axis, score_table
from suture.compare.contrasts import contrast_tables, recover
from suture.compare.multiplicity import DISTANCE, adjust
from suture.compare.pairing import (
    Table,
    above_one,
    binary_metrics,
    check_same_items,
    column,
    match_floors,
    metrics_of,
    pair,
    read_results,
    tasks_of,
    unscored,
    weights_of,
    without_floors,
)
from suture.compare.repairs import repair_notes
from suture.compare.requests import check_request
from suture.compare.signatures import digest_prompts, read_signatures
from suture.compare.verdicts import Axis, Comparison, Contrast, Margin, Recovered, Score
from suture.evaluate.repaired import is_repaired
from suture.events import track

Results = Mapping[str, Mapping[str, Table]]
Key = tuple[str, str]
GUESSING = "chance"  # the floor whose score is the hit rate of guessing


def compare(
    results: Mapping[str, Path],
    *,
    against: Sequence[str],
    floors: Mapping[str, Path] | None = None,
    margins: Sequence[Margin] = (),
    primary: Sequence[Key] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare every model with each of the parents named in `against`, on every metric that both have.

    results maps a label to the folder results/<weights digest, 12>, floors a floor's label to its folder ("chance" also
    gives the hit rate of guessing), margins say which losses are tolerated. primary names the (task, metric) pairs of
    the family that Holm corrects: by default those with a margin. With two parents, the first is the general and the
    second the clinical one of the recovered share. Items that are unscored for one of a pair are dropped from it; n
    says how many remain, and a note how many were dropped.
    Raises UsageError for a parent, margin or primary metric that no result answers to, BadInputError for unreadable
    results, and IncompatibleError where models answered different items or prompts, were scored by different settings,
    or share no task with a parent.
    """
    tables = {label: read_results(folder) for label, folder in results.items()}
    declared = tuple(primary if primary is not None else [(margin.task, margin.metric) for margin in margins])
    check_request(tables, against, margins, declared)
    check_same_items(tables)
    signatures, differences = read_signatures(results)
    trivial_tables, unmatched = match_floors({k: read_results(v) for k, v in (floors or {}).items()}, tables)
    binary = binary_metrics(tables) - above_one(trivial_tables)
    scores = tuple(_scores(tables, binary, seed))
    trivial = tuple(_floors(trivial_tables, scores, binary, seed))
    axes = tuple(_axes(scores, against, margins, best_floors(trivial)))
    contrasts = tuple(_contrasts(tables, against, binary, axes, margins, _chances(trivial_tables), seed))
    return Comparison(
        models=tuple(results),
        against=tuple(against),
        digests={label: weights_of(found) for label, found in tables.items()},
        scores=scores,
        contrasts=adjust(contrasts, parents=against, primary=declared),
        axes=axes,
        margins=tuple(margins),
        notes=(
            *repair_notes(tables, contrasts),
            *_gaps(tables),
            *unscored(tables),
            *differences,
            *unmatched,
            *without_floors(tables, trivial_tables),
        ),
        recovered=tuple(_recovered(tables, against)),
        floors=trivial,
        primary=declared,
        signatures=signatures,
        prompts=digest_prompts(tables),
        seed=seed,
    )


def _contrasts(
    tables: Results,
    against: Sequence[str],
    binary: Collection[Key],
    axes: Sequence[Axis],
    margins: Sequence[Margin],
    chances: Mapping[Key, float],
    seed: int,
) -> Iterator[Contrast]:
    stated = {(margin.task, margin.metric): margin.value for margin in margins}
    headroom = {(axis.task, axis.metric): axis.headroom for axis in axes}
    pairs = tuple(_pairs(tables, against))
    with track("compare", len(pairs), "contrasts") as advance:
        for label, parent, task, metric in pairs:
            yield contrast_tables(
                (label, tables[label][task]),
                (parent, tables[parent][task]),
                task,
                metric,
                binary=(task, metric) in binary,
                margin=stated.get((task, metric), math.nan),
                headroom=headroom.get((task, metric), True),
                chance=chances.get((task, metric), math.nan),
                seed=seed,
            )
            advance(1)


def _recovered(tables: Results, against: Sequence[str]) -> Iterator[Recovered]:
    if len(against) != 2:
        return
    general, clinical = against
    for label, found in tables.items():
        for task in found if label not in against else ():
            if task not in tables[general] or task not in tables[clinical]:
                continue
            one, two = tables[general][task], tables[clinical][task]
            for metric in metrics_of(found[task]):
                if metric.startswith(DISTANCE) or is_repaired(metric):
                    continue
                if pair(one, two, metric).items:
                    yield recover((label, found[task]), (general, one), (clinical, two), task, metric)


def _floors(floors: Results, scores: Sequence[Score], binary: Collection[Key], seed: int) -> Iterator[Score]:
    answered = {(score.task, score.metric) for score in scores}
    for score in _scores(floors, binary, seed):
        if (score.task, score.metric) in answered:
            yield score


def _chances(floors: Results) -> dict[Key, float]:
    """Mean hit rate of guessing for each (task, metric) that the chance floor has."""
    found = floors.get(GUESSING, {})
    keys = [(task, metric) for task in found for metric in metrics_of(found[task])]
    return {(task, metric): float(column(found[task], metric)[0].mean()) for task, metric in keys}


def _scores(tables: Results, binary: Collection[Key], seed: int) -> Iterator[Score]:
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
    scores: Sequence[Score], against: Sequence[str], margins: Sequence[Margin], floors: Mapping[Key, Score]
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
