"""Result folders as tables that can be paired: reads item rows and refuses tables whose items or prompts differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suture.compare.bounded import PER_CENT
from suture.compare.statistics import Vector, is_binary
from suture.errors import BadInputError, IncompatibleError, Problem, refuse
from suture.evaluate.items import ItemRow, read_rows

Table = Mapping[str, ItemRow]
FLOORED = frozenset(
    {"accuracy", "exact_match", "prompt_level_strict", *PER_CENT}
)  # trivial answers have scores on them


@dataclass(frozen=True, slots=True)
class Paired:
    """The items that both models have a finite score for: ids, clusters, and the two columns of scores, shape (n,)."""

    items: tuple[str, ...]
    clusters: tuple[str, ...]
    model: Vector
    against: Vector


def read_results(folder: Path) -> dict[str, Table]:
    """Read every task folder under a model's result folder: task -> item id -> row, both sorted.

    Raises BadInputError for a folder without results, an incomplete task, or a repeated item.
    """
    places = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not places:
        raise BadInputError(Problem("A model must have results.", "no task folder", str(folder), "Evaluate it first."))
    return {place.name: _table(place) for place in places}


def weights_of(tables: Mapping[str, Table]) -> str:
    """Return the one model digest of a model's tables. Raises BadInputError where they hold several."""
    digests = sorted({row.model_digest for table in tables.values() for row in table.values()})
    if len(digests) > 1:
        raise BadInputError(Problem("A result folder must hold one model.", f"the digests {digests}"))
    return digests[0] if digests else ""


def check_same_items(results: Mapping[str, Mapping[str, Table]]) -> None:
    """Raise IncompatibleError, naming each task and count, unless all models answered the same prompts to a task."""
    problems: list[Problem] = []
    for task in tasks_of(results):
        labels = [label for label, tables in results.items() if task in tables]
        first = results[labels[0]][task]
        for label in labels[1:]:
            problems += _differences(task, labels[0], first, label, results[label][task])
    refuse(IncompatibleError, problems)


def tasks_of(results: Mapping[str, Mapping[str, Table]]) -> list[str]:
    """Return the sorted names of all tasks that any model answered."""
    return sorted({task for tables in results.values() for task in tables})


def metrics_of(table: Table) -> list[str]:
    """Return the sorted names of the metrics of which at least one item has a value."""
    return sorted({name for row in table.values() for name, value in row.scores.items() if math.isfinite(value)})


def binary_metrics(results: Mapping[str, Mapping[str, Table]]) -> frozenset[tuple[str, str]]:
    """Return each (task, metric) of which every score of every model is 0 or 1."""
    real: dict[tuple[str, str], bool] = {}
    for tables in results.values():
        for task, table in tables.items():
            for metric in metrics_of(table):
                key = (task, metric)
                real[key] = real.get(key, True) and is_binary(column(table, metric)[0])
    return frozenset(key for key, binary in real.items() if binary)


def above_one(floors: Mapping[str, Mapping[str, Table]]) -> frozenset[tuple[str, str]]:
    """Return each (task, metric) of which a floor scores above 1: no 0/1 metric, even if every model scores 0 on it."""
    return frozenset(
        (task, metric)
        for tables in floors.values()
        for task, table in tables.items()
        for metric in metrics_of(table)
        if float(column(table, metric)[0].max()) > 1
    )


def column(table: Table, metric: str) -> tuple[Vector, tuple[str, ...]]:
    """Return the finite scores of one metric, shape (n,), and their clusters, by item id."""
    rows = [row for row in table.values() if math.isfinite(_score(row, metric))]
    return np.array([_score(row, metric) for row in rows]), tuple(row.cluster_id for row in rows)


def pair(model: Table, against: Table, metric: str) -> Paired:
    """Pair two checked tables by item id; an item that is unscored in either is dropped."""
    items = [item for item in model if math.isfinite(_score(model[item], metric) + _score(against[item], metric))]
    return Paired(
        items=tuple(items),
        clusters=tuple(model[item].cluster_id for item in items),
        model=np.array([_score(model[item], metric) for item in items]),
        against=np.array([_score(against[item], metric) for item in items]),
    )


def match_floors(
    floors: Mapping[str, Mapping[str, Table]], results: Mapping[str, Mapping[str, Table]]
) -> tuple[dict[str, dict[str, Table]], tuple[str, ...]]:
    """Return the floors' tables of the very items that the models answered, and a sentence for each other one."""
    asked = {task: table.keys() for tables in results.values() for task, table in tables.items()}
    kept: dict[str, dict[str, Table]] = {}
    notes = []
    for label, tables in floors.items():
        known = {task: table for task, table in tables.items() if task in asked}
        kept[label] = {task: table for task, table in known.items() if table.keys() == asked[task]}
        notes += [
            f"{task}: the floor {label} answered other items and is left out."
            for task in known
            if task not in kept[label]
        ]
    return kept, tuple(notes)


def without_floors(
    results: Mapping[str, Mapping[str, Table]], floors: Mapping[str, Mapping[str, Table]]
) -> tuple[str, ...]:
    """Return a sentence on the tasks whose scores stand beside no floor, though trivial answers to them have scores."""
    known = {task for tables in floors.values() for task in tables}
    bare, guessed = [], False
    for task in tasks_of(results):
        metrics = {metric for tables in results.values() for metric in metrics_of(tables.get(task, {}))}
        if task not in known and metrics & FLOORED:
            bare.append(task)
            guessed |= "accuracy" in metrics
    if not bare:
        return ()
    flips = ", and flips are not corrected for guessing" if guessed else ""
    return (
        f"No floor is shown for {', '.join(bare)}{flips}: `suture eval` writes floor-* folders beside its results; "
        "name their folder by --floors.",
    )


def result_folder(folder: Path) -> Path:
    """Return the folder of one model's tasks: `folder` itself, or the only model below a folder of results.

    Raises BadInputError where there is none or several.
    """
    if not folder.is_dir() or any(folder.glob("*/meta.json")):
        return folder
    models = sorted(
        {p.parent.parent for p in folder.glob("*/*/meta.json") if not p.parent.parent.name.startswith("floor-")}
    )
    if len(models) == 1:
        return models[0]
    must = "A label must name the results of one model, a folder as `suture eval` prints it."
    got = f"{len(models)} models: {', '.join(path.name for path in models)}" if models else "no results"
    raise BadInputError(Problem(must, got, str(folder), "Name one of them." if models else "Evaluate a model first."))


def unscored(results: Mapping[str, Mapping[str, Table]]) -> Iterator[str]:
    """Yield a sentence for each task and metric, and the models of which as many items, but not all, are unscored."""
    labels: dict[tuple[str, str, int, int], list[str]] = {}
    for label, tables in results.items():
        for task, table in tables.items():
            for metric in metrics_of(table):
                without = sum(not math.isfinite(_score(row, metric)) for row in table.values())
                if without:
                    labels.setdefault((task, metric, without, len(table)), []).append(label)
    for (task, metric, without, n), found in labels.items():
        yield f"{task} {metric}: {without} of {n} items of {', '.join(found)} are unscored and left out."


def _table(place: Path) -> Table:
    rows = sorted(read_rows(place), key=lambda row: row.item_id)
    table = {row.item_id: row for row in rows}
    if len(table) < len(rows):
        got = f"{len(rows) - len(table)} repeated items"
        raise BadInputError(Problem("Each item must stand once in a task's results.", got, str(place)))
    return table


def _differences(task: str, first_label: str, first: Table, label: str, table: Table) -> Sequence[Problem]:
    where = f"task {task}, {first_label} and {label}"
    do = "Evaluate both again with one version of the task."
    alone = len(first.keys() ^ table.keys())
    changed = sum(first[item].prompt_digest != table[item].prompt_digest for item in first.keys() & table.keys())
    problems = []
    if alone:
        same = "Evaluate both with one version of the task and one --limit."
        problems.append(
            Problem("Models must answer the same items.", f"{alone} items of only one of them", where, same)
        )
    if changed:
        got = f"{changed} of {len(first.keys() & table.keys())} items with different prompts"
        problems.append(Problem("Models must be given the same prompts.", got, where, do))
    return problems


def _score(row: ItemRow, metric: str) -> float:
    return row.scores.get(metric, math.nan)
