"""The heat map of models and measures: one verdict a cell, told by colour, by mark and by word, never by colour alone.

Each cell asks the parent that scores better on the measure, since only that parent has something to lose there. A
measure with a margin shows its verdict. One without shows whether the 95 % interval of the difference excludes 0, which
describes and judges nothing. Side effects and drift are no measures of quality and stand elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from suture.compare.axes import orientation
from suture.compare.verdicts import Contrast
from suture.report.bare import primary_of
from suture.report.data import ReportData
from suture.report.finding import better_parent
from suture.report.labels import AXES, MARKS, TONES, measure_in_unit, value_text, with_interval
from suture.report.overview import FACTS
from suture.report.plane import plane_keys
from suture.report.table import Cell, Row, Table

TITLE = "Verdicts at a glance"
ACROSS = 6  # measures that fit a page's width
Tone = Literal["kept", "forgotten", "open", "mute", "better", "worse", "level", "own"]
HEAT_MARKS = {**MARKS, "better": "▲", "worse": "▼", "level": "≈", "own": "="}
WORDS = {
    "kept": "kept",
    "forgotten": "forgotten",
    "open": "not established",
    "mute": "no headroom",
    "better": "better",
    "worse": "worse",
    "level": "no difference shown",
    "own": "the parent itself",
}


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One model on one measure: tone, mark and word say the same; difference is against the parent named."""

    tone: Tone
    difference: str
    against: str

    @property
    def mark(self) -> str:
        """The shape that stands for the tone."""
        return HEAT_MARKS[self.tone]

    @property
    def word(self) -> str:
        """The tone in words."""
        return WORDS[self.tone]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """columns: (measure, margin or ""), judged first. rows: a model's label and its cells, None where unmeasured."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[HeatCell | None, ...]], ...]

    @property
    def down(self) -> bool:
        """Whether the measures run down the page and the models across, since so many fit no page's width."""
        return len(self.columns) > max(ACROSS, len(self.rows))

    def lines(self) -> tuple[tuple[str, str, tuple[HeatCell | None, ...]], ...]:
        """Return the map turned: measure, margin, and the cell of each model."""
        return tuple(
            (name, margin, tuple(cells[index] for _, cells in self.rows))
            for index, (name, margin) in enumerate(self.columns)
        )

    @property
    def tones(self) -> tuple[Tone, ...]:
        """The tones that occur, for the legend, in a fixed order."""
        seen = {cell.tone for _, cells in self.rows for cell in cells if cell}
        return tuple(tone for tone in WORDS if tone in seen)


def heat_map(data: ReportData) -> HeatMap:
    """Return the map of all models on every judged measure, then on one measure of each task without a margin."""
    margins = {(m.task, m.metric): m for m in data.comparison.margins}
    keys = [key for key in (*margins, *_unjudged(data, {task for task, _ in margins})) if better_parent(data, *key)]
    columns = []
    for key in keys:
        margin = f"margin {value_text(key[1], margins[key].value)}" if key in margins else ""
        columns.append((measure_in_unit(*key), margin))
    rows = tuple((label, tuple(_cell(data, label, *key) for key in keys)) for label in data.comparison.models)
    return HeatMap(tuple(columns), rows)


def heat_table(data: ReportData) -> Table:
    """Return the heat map as a neutral table, for formats without colour."""
    found = heat_map(data)
    caption = "Each cell against the parent that scores better on the measure: verdict and difference."
    if found.down:
        turned = [Row((Cell(_titled(name, margin)), *map(_written, cells))) for name, margin, cells in found.lines()]
        columns = ("measure", *(label for label, _ in found.rows))
        return Table(TITLE, caption, columns, tuple(turned))
    rows = [Row((Cell(label), *map(_written, cells)), label) for label, cells in found.rows]
    return Table(TITLE, caption, ("model", *(_titled(*column) for column in found.columns)), tuple(rows))


def _written(cell: HeatCell | None) -> Cell:
    return Cell(f"{cell.mark} {cell.word} {cell.difference}".rstrip() if cell else "–")


def _titled(name: str, margin: str) -> str:
    return f"{name}, {margin}" if margin else name


def _unjudged(data: ReportData, judged: set[str]) -> tuple[tuple[str, str], ...]:
    """One measure for each task without a margin, by axis: its primary metric where that is scored, else the first.

    Beside a ROUGE stand the facts that an answer leaves out and makes up.
    """
    found: dict[str, str] = {}
    for task, metric in plane_keys(data):
        if task not in judged and (task not in found or metric == primary_of(task)):
            found[task] = metric
    order = [data.task_axes.get(task, "") for task in found]
    axes = [*(axis for axis in AXES if axis in order), *(axis for axis in dict.fromkeys(order) if axis not in AXES)]
    known = plane_keys(data)
    keys = []
    for task, metric in sorted(found.items(), key=lambda key: axes.index(data.task_axes.get(key[0], ""))):
        beside = FACTS if metric.startswith("rouge") else ()
        keys += [(task, metric), *((task, fact) for fact in beside if (task, fact) in known)]
    return tuple(keys)


def _cell(data: ReportData, label: str, task: str, metric: str) -> HeatCell | None:
    parent = better_parent(data, task, metric)
    if label == parent:
        return HeatCell("own", "", parent)
    found = data.comparison.contrast(label, parent, task, metric)
    if found is None:
        return None
    difference = with_interval(metric, found.difference, found.interval, signed=True)
    return HeatCell(_tone(found), difference, parent)


def _tone(contrast: Contrast) -> Tone:
    if contrast.verdict != "descriptive":
        return TONES[contrast.verdict]  # type: ignore[return-value]
    sign = orientation(contrast.metric)
    low, high = sorted((sign * contrast.interval.low, sign * contrast.interval.high))
    if not (isfinite(low) and isfinite(high)) or low <= 0 <= high:
        return "level"
    return "better" if low > 0 else "worse"
