"""The trade-off plane: which pair of measures it opens on, and which models no other one beats on a pair."""

from __future__ import annotations

from itertools import combinations
from math import nan

from suture.compare.axes import orientation
from suture.compare.pareto import front
from suture.report.bare import primary_of
from suture.report.data import ReportData
from suture.report.labels import is_quality, measure

Key = tuple[str, str]
UPWARD = ("clinical", "medical", "general")


def plane_keys(data: ReportData) -> tuple[Key, ...]:
    """Return the (task, metric) pairs that may span the plane: measures of quality, no side effect, no drift."""
    known = dict.fromkeys((score.task, score.metric) for score in data.comparison.scores)
    return tuple(key for key in known if is_quality(key[1]) and data.task_axes.get(key[0]) != "probe")


def front_of(data: ReportData, x: Key, y: Key) -> tuple[str, ...]:
    """Return the labels of the models on the Pareto front of two measures, read off the means."""
    labels = [card.label for card in data.models if card.role != "replicate"]
    points = {label: tuple(_value(data, label, key) for key in (x, y)) for label in labels}
    return front(points, tuple(orientation(key[1]) for key in (x, y)))


def fronts(data: ReportData) -> dict[str, list[str]]:
    """Return the front of every pair of measures under "task/metric|task/metric", both orders of which are the same."""
    pairs = combinations(plane_keys(data), 2)
    return {"|".join(sorted("/".join(key) for key in pair)): list(front_of(data, *pair)) for pair in pairs}


def opening(data: ReportData) -> tuple[Key, Key] | None:
    """Return the measures across and up that the plane opens on; None where fewer than two can span it.

    Instruction following across and what a clinic asks for up: the judged measure of an axis, else the primary metric
    of its first task.
    """
    keys = plane_keys(data)
    x = _of_axis(data, "instruction") or (keys[0] if keys else None)
    y = next((key for axis in UPWARD if (key := _of_axis(data, axis)) and key != x), None)
    if y is None:
        others = [key for key in keys if key != x and key[0] != (x or ("",))[0]] or [key for key in keys if key != x]
        y = others[0] if others else None
    return (x, y) if x and y else None


def _of_axis(data: ReportData, name: str) -> Key | None:
    judged = [(axis.task, axis.metric) for axis in data.comparison.axes if axis.axis == name]
    known = [key for key in plane_keys(data) if data.task_axes.get(key[0]) == name]
    primary = [key for key in known if key[1] == primary_of(key[0])]
    return next(iter([*judged, *primary, *known]), None)


def front_sentence(data: ReportData) -> str:
    """Return one sentence that names the models on the front of the opening pair; "" where there is no plane."""
    pair = opening(data)
    if pair is None:
        return ""
    labels = "; ".join(front_of(data, *pair)) or "none"
    return f"On the Pareto front of {measure(*pair[0])} and {measure(*pair[1])}, by their means: {labels}."


def _value(data: ReportData, label: str, key: Key) -> float:
    score = data.comparison.score(label, *key)
    return score.value if score else nan
