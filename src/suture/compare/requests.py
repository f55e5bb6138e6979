"""What a comparison is asked for, checked against the results before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from suture.compare.multiplicity import DISTANCE
from suture.compare.pairing import Table, metrics_of
from suture.compare.verdicts import Margin
from suture.errors import IncompatibleError, Problem, UsageError, refuse


def check_request(
    tables: Mapping[str, Mapping[str, Table]],
    against: Sequence[str],
    margins: Sequence[Margin],
    primary: Sequence[tuple[str, str]],
) -> None:
    """Raise UsageError, naming every problem of the request, or IncompatibleError where nothing can be compared."""
    known = {(task, metric) for found in tables.values() for task in found for metric in metrics_of(found[task])}
    refuse(
        UsageError,
        [
            *_parents(tables, against),
            *_margins(margins, known),
            *_primary([key for key in primary if key not in {(m.task, m.metric) for m in margins}], known),
        ],
    )
    alone = [
        label
        for label in tables
        if set(against) != {label} and not any(tables[label].keys() & tables[p].keys() for p in against if p != label)
    ]
    must = "A model must share a task with a parent that it is compared with."
    do = "Evaluate both on one task."
    refuse(IncompatibleError, [Problem(must, "none", label, do) for label in alone if len(tables) > 1])


def split_key(text: str) -> tuple[str, str]:
    """Return (task, metric) of "task.metric"; the metric is what follows the last point. Raises UsageError."""
    task, point, metric = text.rpartition(".")
    if not (task and point and metric):
        raise UsageError(
            Problem("A metric must be named as task.metric.", f"'{text}'", do="ifeval.prompt_level_strict")
        )
    return task, metric


def _parents(tables: Mapping[str, object], against: Sequence[str]) -> Iterator[Problem]:
    if not against:
        yield Problem("A comparison must name a parent.", "none", "against")
    for label in dict.fromkeys(against):
        if label not in tables:
            must = "Each parent must be one of the models."
            yield Problem(must, f"{label!r}", "against", f"Name one of {sorted(tables)}.")
        if against.count(label) > 1:
            yield Problem("A parent must be named once.", f"{label!r} {against.count(label)} times", "against")


def _margins(margins: Sequence[Margin], known: set[tuple[str, str]]) -> Iterator[Problem]:
    keys = [(margin.task, margin.metric) for margin in margins]
    for margin, key in zip(margins, keys, strict=True):
        where = f"margin of {margin.task} {margin.metric}"
        if key not in known:
            do = "Evaluate that task or remove the margin."
            yield Problem("A margin must name a task and metric with results.", "none", where, do)
        if not (margin.value > 0 and math.isfinite(margin.value)):
            yield Problem("A margin must be a positive number.", f"{margin.value}", where)
        if margin.metric.startswith(DISTANCE):
            yield Problem("A margin must not stand on drift, which is a distance.", "one", where, "Remove it.")
        if keys.count(key) > 1:
            yield Problem("A metric must have one margin.", f"{keys.count(key)}", where, "Keep one.")


def _primary(keys: Sequence[tuple[str, str]], known: set[tuple[str, str]]) -> Iterator[Problem]:
    for task, metric in keys:
        where = f"primary {task} {metric}"
        if (task, metric) not in known:
            do = f"Name one of {sorted('.'.join(key) for key in known)}."
            yield Problem("A primary metric must have results.", "none", where, do)
        if metric.startswith(DISTANCE):
            yield Problem("A primary metric must not be drift, which is a distance.", "one", where, "Remove it.")
