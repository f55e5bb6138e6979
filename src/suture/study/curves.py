"""The step that draws learning curves: every judged measure over starts, shots and seeds, and shots to parity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from suture.compare.axes import orientation
from suture.compare.pairing import Table, check_same_items, read_results
from suture.compare.parity import Cell, Curves, Matrix, MetricCurves, write_curves
from suture.study.graph import Context
from suture.study.scores import EVALUATION
from suture.study.texts import digest_files


def draw_curves(context: Context) -> str:
    """Write curves.json from the answers of `models` on `measures`, parity of the `merged` starts with the `rivals`.

    Where a lower value of a metric is better its scores enter with their sign turned.
    """
    p = context.parameters
    models: list[dict[str, Any]] = p["models"]
    tables = {model["label"]: read_results(context.inputs[EVALUATION + model["label"]]) for model in models}
    check_same_items(tables)
    found = [_measured(p, models, tables, measure) for measure in p["measures"]]
    write_curves(context.folder / "curves.json", [curves for curves in found if curves.points])
    return digest_files([context.folder / "curves.json"])


def _measured(
    about: Mapping[str, Any],
    models: Sequence[Mapping[str, Any]],
    tables: Mapping[str, Mapping[str, Table]],
    measure: Mapping[str, Any],
) -> MetricCurves:
    task, metric = measure["task"], measure["metric"]
    answers = [tables[model["label"]][task] for model in models]
    items = [item for item in answers[0] if all(_finite(table, item, metric) for table in answers)]
    left_out, clusters = len(answers[0]) - len(items), [answers[0][item].cluster_id for item in items]
    if not items:
        return MetricCurves(task, metric, 0, 0, left_out, ())
    curves = Curves(dict(_cells(models, answers, items, metric)), clusters)
    parities = tuple(curves.parity(start, about["rivals"], measure["margin"]) for start in about["merged"])
    return MetricCurves(task, metric, len(items), len(set(clusters)), left_out, curves.points(), parities)


def _cells(
    models: Sequence[Mapping[str, Any]], answers: Sequence[Table], items: Sequence[str], metric: str
) -> Iterator[tuple[Cell, Matrix]]:
    """Yield (start, shots) and its scores, seeds in rising order."""
    rows: dict[Cell, list[tuple[int, list[float]]]] = {}
    for model, table in zip(models, answers, strict=True):
        scores = [orientation(metric) * table[item].scores[metric] for item in items]
        rows.setdefault((model["start"], model["shots"]), []).append((model["seed"], scores))
    for cell, seeded in rows.items():
        yield cell, np.array([scores for _, scores in sorted(seeded)])


def _finite(table: Table, item: str, metric: str) -> bool:
    return math.isfinite(table[item].scores.get(metric, math.nan))
