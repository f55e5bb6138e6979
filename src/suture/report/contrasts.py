"""Tables of paired contrasts: all of them, and the share of the parents' gap that each model recovers."""

from __future__ import annotations

from math import isfinite, isnan

from suture.compare.axes import best_floors
from suture.compare.verdicts import Contrast, Interval
from suture.evaluate.repaired import is_repaired, twin
from suture.report.data import ReportData
from suture.report.labels import (
    MARKS,
    MISSING,
    TONES,
    measure,
    measure_in_unit,
    number,
    p_text,
    share,
    share_interval,
    value_text,
    with_interval,
)
from suture.report.table import Cell, Row, Table

COLUMNS = (
    "model",
    "against",
    "measure",
    "n",
    "best floor",
    "difference",
    "p",
    "lost",
    "gained",
    "retention",
    "margin",
    "detectable",
    "verdict",
)
_SHORT = {"Holm": "Holm", "Benjamini-Hochberg": "BH"}


def contrast_table(data: ReportData) -> Table:
    """Return one row for each contrast that was made, drift apart; repaired differences below the published ones."""
    contrasts = [c for c in data.comparison.contrasts if not is_distance(data, c) and not is_repaired(c.metric)]
    return Table("All contrasts", _caption(data), COLUMNS, tuple(_row(data, contrast) for contrast in contrasts))


def repaired_lines(data: ReportData, contrast: Contrast) -> tuple[str, ...]:
    """Return the difference by IFEval's repaired verdicts as one line, nothing where it is that of the published."""
    other = data.comparison.contrast(contrast.model, contrast.against, contrast.task, twin(contrast.metric))
    if other is None or (other.difference, other.interval) == (contrast.difference, contrast.interval):
        return ()
    return (f"repaired {with_interval(other.metric, other.difference, other.interval, signed=True)}",)


def recovered_table(data: ReportData) -> Table:
    """Return the recovered share of every model on every metric, with its interval or the reason that there is none."""
    found = [r for r in data.comparison.recovered if data.task_axes.get(r.task) != "probe"]
    rows = []
    for row in found:
        bounded = isfinite(row.interval.low)
        text = f"{number(row.value, 2)} {_ratio(row.interval)}".rstrip() if bounded else MISSING
        why = row.interval.method if bounded else f"{row.interval.method}; point {number(row.value, 2)}"
        cells = (
            Cell(row.model),
            Cell(measure(row.task, row.metric)),
            Cell(count_text(row.n, row.clusters), number=True),
            Cell(text, number=True, details=(why,)),
        )
        rows.append(Row(cells, row.model))
    caption = (
        "(model − clinical) / (general − clinical): 0 is the clinical parent's score, 1 the general parent's, "
        "whichever is better. Unbounded where the parents are not established to differ: then no share can be told."
    )
    return Table("Recovered share", caption, ("model", "measure", "n", "recovered"), tuple(rows))


def _row(data: ReportData, contrast: Contrast) -> Row:
    tone, metric = TONES[contrast.verdict], contrast.metric
    return Row(
        (
            Cell(contrast.model),
            Cell(contrast.against),
            Cell(measure_in_unit(contrast.task, metric)),
            Cell(count_text(contrast.n, contrast.clusters), number=True),
            _floor(data, contrast),
            Cell(
                with_interval(metric, contrast.difference, contrast.interval, signed=True),
                number=True,
                details=(contrast.interval.method, *repaired_lines(data, contrast)),
            ),
            p_cell(contrast),
            flip_cell(contrast.forgotten, contrast.forgotten_interval, contrast.forgotten_above_chance),
            flip_cell(contrast.gained, contrast.gained_interval, contrast.gained_above_chance),
            Cell(f"{share(contrast.retention)} {share_interval(contrast.retention_interval)}".rstrip(), number=True),
            Cell(value_text(metric, contrast.margin), number=True),
            Cell(value_text(metric, contrast.mde), number=True),
            Cell(f"{MARKS[tone]} {contrast.verdict}", tone, details=noninferiority_lines(contrast)),
        ),
        contrast.model,
    )


def _floor(data: ReportData, contrast: Contrast) -> Cell:
    best = best_floors(data.known_floors).get((contrast.task, contrast.metric))
    text = f"{value_text(contrast.metric, best.value)} ({best.model})" if best else MISSING
    return Cell(text, "mute", number=True)


def p_cell(contrast: Contrast, *, test: bool = True) -> Cell:
    """Return the p-value, below it the corrected one and, with `test`, the family and the test."""
    if isnan(contrast.p_value):
        return Cell(MISSING, number=True)
    details = [f"{_SHORT[contrast.correction]} {p_text(contrast.p_adjusted)}"] if contrast.correction else []
    about = [contrast.test, *(["primary"] if contrast.family == "primary" else [])] if test else []
    return Cell(p_text(contrast.p_value), number=True, details=(*details, *about))


def noninferiority_lines(contrast: Contrast) -> tuple[str, ...]:
    """Return the p-value of non-inferiority, and Holm's over all stated margins, as lines below a verdict."""
    if isnan(contrast.noninferiority_p):
        return ()
    adjusted = contrast.noninferiority_p_adjusted
    return (f"p {p_text(contrast.noninferiority_p)}", *([f"Holm {p_text(adjusted)}"] if isfinite(adjusted) else []))


def flip_cell(value: float, interval: Interval, above: float) -> Cell:
    """Return a share of flipped items with its interval, below it the share above chance where that is known."""
    details = (f"{share(above)} above chance",) if isfinite(above) else ()
    return Cell(f"{share(value)} {share_interval(interval)}".rstrip(), number=True, details=details)


def _ratio(interval: Interval) -> str:
    return f"[{number(interval.low, 2)},\u202f{number(interval.high, 2)}]"


def count_text(n: int, clusters: int) -> str:
    """Write n, and in how many clusters the items stand where some hold several."""
    return str(n) if n == clusters else f"{n} in {clusters}"


def is_distance(data: ReportData, contrast: Contrast) -> bool:
    """Return whether a contrast is one of drift, which is drawn apart and never judged."""
    return data.task_axes.get(contrast.task) == "probe" or contrast.metric.startswith("kl_to_")


def _caption(data: ReportData) -> str:
    primary = ", ".join(measure(*key) for key in data.comparison.primary) or "none declared"
    return (
        "Every metric against every parent, paired by item, with 95 % intervals; metrics without a margin describe and "
        f"carry no verdict. p tests no difference. Holm: corrected within the primary family ({primary}); BH: "
        "Benjamini-Hochberg within the rest. Detectable: the smallest difference found, and margin proven, at 80 % "
        "power at this n. Lost and gained: shares of the items of a 0/1 metric. Below a "
        "verdict: p of a loss of the margin or more, kept at p < 0.025, and Holm over all stated margins."
    )
