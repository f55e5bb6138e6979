"""Learning curves: score and forgetting over the shots, one panel a measure, and the table of shots to parity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suture.compare.axes import orientation
from suture.compare.parity import CurvePoint, MetricCurves, Parity
from suture.compare.verdicts import Interval
from suture.report.data import ReportData
from suture.report.labels import AXES, interval_text, measure_in_unit, value_text
from suture.report.table import Cell, Row, Table

WIDTH, HEIGHT = 420.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 10.0, 28.0
STYLES = 4  # of lines, told apart by colour, dash and mark
NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Line:
    """One start or method: points (x, y), the outline of its band in the panel's units; style in 0 to 3.

    spoken: the whole line in words; said: each of its points, for a reader who hovers.
    """

    start: str
    style: int
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...]
    spoken: str
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure: ticks (place, text), lines, and at which x parity is established, None where it is not.

    floor: the place and name of the best trivial answer; scale: (least and largest coefficient, their places), for a
    panel on which the slider's coefficient is marked.
    """

    measure: str
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    parity: float | None
    floor: tuple[float, str] | None = None
    scale: tuple[float, float, float, float] | None = None


def curve_panels(data: ReportData) -> tuple[Panel, ...]:
    """Return a panel for each measure with learning curves: its number of shots is evenly spaced, 0 at the left."""
    return tuple(_panel(data, curves) for curves in data.curves)


def curve_table(data: ReportData) -> Table:
    """Return the mean of every start at every number of shots, with its interval."""
    rows: list[Row] = []
    grid = sorted({point.shots for curves in data.curves for point in curves.points})
    for curves in data.curves:
        for start in dict.fromkeys(point.start for point in curves.points):
            found = {point.shots: point for point in curves.points if point.start == start}
            cells = [_point_cell(curves, found.get(shots)) for shots in grid]
            rows.append(Row((Cell(start), Cell(_name(curves)), *cells)))
    caption = "Mean over seeds and items; 95 % intervals by resampling seeds (shot draws) and clusters of items."
    return Table("Learning curves", caption, ("start", "measure", *(f"{n} shots" for n in grid)), tuple(rows))


def parity_table(data: ReportData) -> Table:
    """Return shots to parity of every merged start on every measure."""
    rows = [
        Row((
            Cell(parity.start),
            Cell(_name(curves)),
            Cell(f"{', '.join(parity.rivals)} at {parity.largest}"),
            Cell(value_text(curves.metric, parity.margin), number=True),
            Cell(shots_text(parity.established), "kept" if parity.established is not None else "open"),
            Cell(f"{shots_text(parity.estimate)} [{shots_text(parity.low)}, {shots_text(parity.high)}]"),
        ))
        for curves in data.curves
        for parity in curves.parities
    ]  # fmt: skip
    caption = (
        "The fewest shots from which on, at all larger numbers too, the start is non-inferior to each rival at its "
        "most shots. Established: the intervals' low ends lie above −margin. By the means: the same of the means, with "
        "its 95 % interval over seeds and items."
    )
    columns = ("start", "measure", "against", "margin", "parity established", "by the means")
    return Table("Shots to parity", caption, columns, tuple(rows))


def shots_text(shots: int | None) -> str:
    """Return a number of shots in words: None is "not reached"."""
    return NOT_REACHED if shots is None else str(shots)


def _name(curves: MetricCurves) -> str:
    adapted = f", adapted to {curves.adapted}" if curves.adapted else ""
    return measure_in_unit(curves.task, curves.metric) + adapted


def _point_cell(curves: MetricCurves, point: CurvePoint | None) -> Cell:
    if point is None:
        return Cell("–", number=True)
    sign = orientation(curves.metric)
    low, high = sorted((sign * point.interval.low, sign * point.interval.high))
    interval = Interval(low, high, point.interval.level, point.interval.method)
    details = (interval_text(curves.metric, interval),)
    return Cell(value_text(curves.metric, sign * point.value), number=True, details=details)


def _panel(data: ReportData, curves: MetricCurves) -> Panel:
    grid = sorted({point.shots for point in curves.points})
    low = min(point.interval.low for point in curves.points)
    high = max(point.interval.high for point in curves.points)
    span = high - low or 1.0

    def across(shots: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (grid.index(shots) + 0.5) / len(grid)

    def up(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / span

    lines = []
    for style, start in enumerate(dict.fromkeys(point.start for point in curves.points)):
        points = sorted((point for point in curves.points if point.start == start), key=lambda point: point.shots)
        upper = [(across(point.shots), up(point.interval.high)) for point in points]
        lower = [(across(point.shots), up(point.interval.low)) for point in reversed(points)]
        middle = tuple((across(point.shots), up(point.value)) for point in points)
        lines.append(Line(start, style % STYLES, middle, (*upper, *lower), _spoken(curves, start, points)))
    reached = [parity.established for parity in curves.parities if parity.established is not None]
    ticks = [low + span * share for share in (0.0, 0.5, 1.0)]
    axis = AXES.get(data.task_axes.get(curves.task, ""), "")
    return Panel(
        measure=f"{axis}: {_name(curves)}" if axis else _name(curves),
        across=tuple((across(shots), str(shots)) for shots in grid),
        up=tuple((up(tick), value_text(curves.metric, orientation(curves.metric) * tick)) for tick in ticks),
        lines=tuple(lines),
        parity=across(min(reached)) if reached else None,
    )


def _spoken(curves: MetricCurves, start: str, points: Sequence[CurvePoint]) -> str:
    sign = orientation(curves.metric)
    said = ", ".join(f"{value_text(curves.metric, sign * point.value)} at {point.shots} shots" for point in points)
    return f"{start}: {said}"


def parity_sentence(curves: MetricCurves, parity: Parity) -> str:
    """Return shots to parity of one measure as a sentence."""
    rivals = " and ".join(parity.rivals)
    if parity.established is None:
        return f"{parity.start} is not shown to be as good as {rivals} at {parity.largest} shots on {_name(curves)}."
    return (
        f"From {parity.established} shots on {parity.start} is as good as {rivals} at {parity.largest} shots "
        f"on {_name(curves)}, within {value_text(curves.metric, parity.margin)}."
    )
