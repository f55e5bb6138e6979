"""Contrasts for a terminal: a narrow table for each metric and parent, with what all rows share in its caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from suture.compare.axes import best_floors
from suture.compare.verdicts import Contrast, Interval
from suture.evaluate.repaired import is_repaired
from suture.report.contrasts import (
    count_text,
    flip_cell,
    is_distance,
    noninferiority_lines,
    p_cell,
    repaired_lines,
)
from suture.report.data import ReportData
from suture.report.labels import (
    MARKS,
    TONES,
    measure,
    measure_in_unit,
    share,
    share_interval,
    value_text,
    verdict_words,
    with_interval,
)
from suture.report.table import Cell, Row, Table

COLUMNS = ("model", "n", "difference", "p", "lost", "gained", "retention", "verdict")
PLAIN = ("lost", "gained")  # of 0/1 metrics only


def compact_tables(data: ReportData) -> Iterator[Table]:
    """Yield one table for each metric and parent, primary metrics first, drift left out.

    Repaired scores have no table of their own: a difference that the repair changes stands below the published one.
    """
    primary = data.comparison.primary
    found: dict[tuple[str, str, str], list[Contrast]] = {}
    for contrast in sorted(data.comparison.contrasts, key=lambda c: (c.task, c.metric) not in primary):
        if not is_distance(data, contrast) and not is_repaired(contrast.metric):
            found.setdefault((contrast.task, contrast.metric, contrast.against), []).append(contrast)
    for (task, metric, against), contrasts in found.items():
        title = f"{measure_in_unit(task, metric)}, against {against}"
        columns = [c for c in COLUMNS if c not in PLAIN or any(isfinite(row.forgotten) for row in contrasts)]
        rows = tuple(_row(data, contrast, columns) for contrast in contrasts)
        yield Table(title, _caption(data, contrasts), tuple(columns), rows)


def noise_table(data: ReportData) -> Table:
    """Return the A/A rows in five columns: flip rate and difference of a model evaluated twice."""
    rows = [
        Row(
            (
                Cell(contrast.against),
                Cell(measure(contrast.task, contrast.metric)),
                Cell(count_text(contrast.n, contrast.clusters), number=True),
                Cell(f"{share(contrast.flip_rate)} {share_interval(contrast.flip_interval)}".rstrip(), number=True),
                Cell(with_interval(contrast.metric, contrast.difference, contrast.interval, signed=True), number=True),
            ),
            contrast.against,
        )
        for contrast in (*data.replicates, *data.comparison.replicates)
    ]
    caption = "The same weights evaluated twice; flip rate: the share of items whose 0/1 score or answer differs."
    return Table("Noise (A/A)", caption, ("model", "measure", "n", "flip rate", "difference"), tuple(rows))


def _row(data: ReportData, contrast: Contrast, columns: Sequence[str]) -> Row:
    metric, tone = contrast.metric, TONES[contrast.verdict]
    retained = f"{share(contrast.retention)} {share_interval(contrast.retention_interval)}".rstrip()
    cells = {
        "model": Cell(contrast.model),
        "n": Cell(_count(contrast), number=True),
        "difference": Cell(
            with_interval(metric, contrast.difference, contrast.interval, signed=True),
            number=True,
            details=(*repaired_lines(data, contrast), f"detects {value_text(metric, contrast.mde)}"),
        ),
        "p": p_cell(contrast, test=False),
        "lost": _flips(contrast.forgotten, contrast.forgotten_interval, contrast.forgotten_above_chance),
        "gained": _flips(contrast.gained, contrast.gained_interval, contrast.gained_above_chance),
        "retention": Cell(retained, number=True),
        "verdict": Cell(
            f"{MARKS[tone]} {verdict_words(contrast.verdict)}", tone, details=noninferiority_lines(contrast)
        ),
    }
    return Row(tuple(cells[column] for column in columns), contrast.model)


def _flips(value: float, interval: Interval, above: float) -> Cell:
    text = flip_cell(value, interval, above).text
    return Cell(text, number=True, details=(f"{share(above)} adj.",) if isfinite(above) else ())


def _count(contrast: Contrast) -> str:
    return str(contrast.n) if contrast.n == contrast.clusters else f"{contrast.n}/{contrast.clusters}"


def _caption(data: ReportData, contrasts: Sequence[Contrast]) -> str:
    first = contrasts[0]
    best = best_floors(data.known_floors).get((first.task, first.metric))
    floor = f"best floor {value_text(first.metric, best.value)} ({best.model})" if best else "no floor known"
    margin = f"margin {value_text(first.metric, first.margin)}" if isfinite(first.margin) else "no margin stated"
    methods = dict.fromkeys(text for c in contrasts for text in (c.interval.method, c.test) if text)
    family = ["primary metric"] if (first.task, first.metric) in data.comparison.primary else []
    return "; ".join([*family, margin, floor, *methods]) + "."
