"""Coefficient curves: every measure against the coefficient towards the clinical parent, axis by axis, with intervals.

A line is one merge method, from the general parent (0) over its merges to the clinical one (1); up is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from suture.compare.axes import best_floors, orientation
from suture.compare.verdicts import Score
from suture.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, STYLES, TOP, WIDTH, Line, Panel
from suture.report.data import ReportData
from suture.report.labels import (
    AXES,
    MISSING,
    SIDE_EFFECTS,
    coefficient,
    interval_text,
    is_quality,
    measure_in_unit,
    value_text,
    with_interval,
)
from suture.report.overview import chosen_measures
from suture.report.table import Cell, Row, Table

ROOM = 30.0  # for the text of a coefficient
SIDE, DRIFT = "Side effects", "Drift"
PARENTS = ("general", "clinical")
Key = tuple[str, str]
Stop = tuple[float, Score]


@dataclass(frozen=True, slots=True)
class Group:
    """One axis: its panels, and in words the measures that no coefficient changes, which have none."""

    title: str
    panels: tuple[Panel, ...]
    flat: tuple[str, ...]


def sweep_groups(data: ReportData) -> tuple[Group, ...]:
    """Return the axes with a panel for each measure; none where no merge has a coefficient."""
    groups = []
    for title, keys in _keys(data).items():
        drawn, flat = [], []
        for key in keys:
            lines = _series(data, key)
            values = {score.value for stops in lines.values() for _, score in stops}
            if len(values) > 1:
                drawn.append(_panel(data, key, lines))
            elif lines:
                flat.append(f"{measure_in_unit(*key)}: {value_text(key[1], values.pop())}")
        if drawn or flat:
            groups.append(Group(title, tuple(drawn), tuple(flat)))
    return tuple(groups)


def sweep_table(data: ReportData) -> Table:
    """Return the same curves as numbers: one row a measure and method, one column a coefficient."""
    found = {key: _series(data, key) for keys in _keys(data).values() for key in keys}
    grid = sorted({a for lines in found.values() for stops in lines.values() for a, _ in stops})
    rows = []
    for key, lines in found.items():
        for method, stops in lines.items():
            held = dict(stops)
            cells = [_cell(held.get(a)) for a in grid]
            rows.append(Row((Cell(measure_in_unit(*key)), Cell(method), *cells)))
    caption = "Means with 95 % intervals; 0 is the general parent, 1 the clinical one, nominal coefficients."
    return Table("Along the coefficient", caption, ("measure", "method", *map(coefficient, grid)), tuple(rows))


def _keys(data: ReportData) -> dict[str, list[Key]]:
    """Return axis -> measures: each task's primary and judged ones, facts beside ROUGE; side effects; drift."""
    scored = list(dict.fromkeys((score.task, score.metric) for score in data.comparison.scores))
    shown = [key for key in chosen_measures(data) if is_quality(key[1])]
    groups = {name: [key for key in shown if data.task_axes.get(key[0], "") == axis] for axis, name in AXES.items()}
    groups["Other"] = [key for key in shown if data.task_axes.get(key[0], "") not in AXES]
    groups[SIDE] = [key for key in scored if key[1] in SIDE_EFFECTS]
    groups[DRIFT] = [key for key in scored if key[1].startswith("kl_to_")]
    return {name: keys for name, keys in groups.items() if keys}


def _series(data: ReportData, key: Key) -> dict[str, list[Stop]]:
    """Return method -> (coefficient, score) of its merges and of both parents, the linear path first."""
    placed = [(card, data.comparison.score(card.label, *key)) for card in data.models if isfinite(card.nominal)]
    stops = [(card, score) for card, score in placed if score is not None and isfinite(score.value)]
    methods = dict.fromkeys(card.method for card, _ in stops if card.role == "merge")
    ordered = sorted(methods, key=lambda method: method != "linear")
    return {
        method: sorted(
            [(card.nominal, score) for card, score in stops if card.role in PARENTS or card.method == method],
            key=lambda stop: stop[0],
        )
        for method in ordered
    }


def _panel(data: ReportData, key: Key, lines: dict[str, list[Stop]]) -> Panel:
    sign = orientation(key[1])
    every = [stop for stops in lines.values() for stop in stops]
    floor = _floor(data, key)
    ends = [sign * end for _, score in every for end in _bounds(score)]
    ends += [sign * floor[0]] if floor else []
    low, high = min(ends), max(ends)
    first, last = min(a for a, _ in every), max(a for a, _ in every)
    left, right = LEFT + 12, WIDTH - RIGHT - 12

    def across(a: float) -> float:
        return left + (right - left) * (a - first) / (last - first) if last > first else (left + right) / 2

    def up(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - sign * value) / ((high - low) or 1.0)

    drawn = []
    for style, (method, stops) in enumerate(lines.items()):
        upper = [(across(a), up(_bounds(score)[1])) for a, score in stops]
        lower = [(across(a), up(_bounds(score)[0])) for a, score in reversed(stops)]
        middle = tuple((across(a), up(score.value)) for a, score in stops)
        said = tuple(f"a = {coefficient(a)}: {with_interval(key[1], s.value, s.interval)}, n = {s.n}" for a, s in stops)
        drawn.append(Line(method, style % STYLES, middle, (*upper, *lower), f"{method}: {'; '.join(said)}", said))
    ticks = [low + (high - low) * share for share in (0.0, 0.5, 1.0)]
    return Panel(
        measure=measure_in_unit(*key),
        across=tuple((across(a), coefficient(a)) for a in _spaced(sorted({a for a, _ in every}), across)),
        up=tuple((up(sign * tick), value_text(key[1], sign * tick)) for tick in ticks),
        lines=tuple(drawn),
        parity=None,
        floor=(up(floor[0]), f"floor: {floor[1]}") if floor else None,
        scale=(first, last, across(first), across(last)),
    )


def _floor(data: ReportData, key: Key) -> tuple[float, str] | None:
    """Return the best trivial answer's value and name, from the floors or from the judged axis."""
    best = best_floors(data.known_floors).get(key)
    if best is not None:
        return best.value, best.model
    axis = next((axis for axis in data.comparison.axes if (axis.task, axis.metric) == key), None)
    return (axis.floor_value, axis.floor) if axis is not None and isfinite(axis.floor_value) else None


def _spaced(grid: Sequence[float], place: Callable[[float], float]) -> list[float]:
    """Return the coefficients that are written below the axis: the ends, and those with room for their text."""
    shown = [grid[0]]
    for a in grid[1:-1]:
        if place(a) - place(shown[-1]) >= ROOM and place(grid[-1]) - place(a) >= ROOM:
            shown.append(a)
    return [*shown, grid[-1]]


def _bounds(score: Score) -> tuple[float, float]:
    """Return the interval's ends, the mean itself where there is none."""
    low, high = score.interval.low, score.interval.high
    return (low if isfinite(low) else score.value, high if isfinite(high) else score.value)


def _cell(score: Score | None) -> Cell:
    if score is None:
        return Cell(MISSING, number=True)
    bounds = interval_text(score.metric, score.interval)
    return Cell(value_text(score.metric, score.value), number=True, details=(bounds,) if bounds else ())
