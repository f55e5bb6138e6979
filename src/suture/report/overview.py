"""An overview of many tasks for a terminal: each one's primary metric, the scores and then the differences."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from suture.compare.axes import best_floors
from suture.compare.verdicts import Contrast
from suture.evaluate.repaired import SUFFIX, is_repaired
from suture.report.bare import primary_of
from suture.report.contrasts import count_text
from suture.report.data import ReportData
from suture.report.labels import (
    AXES,
    MARKS,
    MISSING,
    TONES,
    interval_text,
    measure_in_unit,
    value_text,
    verdict_words,
)
from suture.report.table import Cell, Row, Table
from suture.report.tables import described_cell

MANY = 4  # tasks beyond which tables of every metric no longer fit a reader's screen, or patience

NO_FLOORS = (
    " No floors are known: `suture eval` writes floor-* folders beside its results, --floors names their folder."
)
FACTS = ("fact_recall", "fact_omission", "fact_fabrication")

Key = tuple[str, str]


def is_broad(data: ReportData) -> bool:
    """Return whether so many tasks are compared that they need an overview."""
    return len({score.task for score in data.comparison.scores}) > MANY


def chosen_measures(data: ReportData) -> list[Key]:
    """Return (task, metric) of each task's primary metric and of those with a margin or declared primary, by axis.

    The primary metric of a task that Suture does not know is its first one. Probes have none. Beside a chosen ROUGE
    stand the facts that an answer leaves out and makes up, beside a chosen level of IFEval its score by the repaired
    verdicts.
    """
    metrics: dict[str, list[str]] = {}
    for score in data.comparison.scores:
        if data.task_axes.get(score.task) != "probe" and score.metric not in metrics.setdefault(score.task, []):
            metrics[score.task].append(score.metric)
    chosen = {*data.comparison.primary, *((margin.task, margin.metric) for margin in data.comparison.margins)}
    chosen |= {(task, primary_of(task) if primary_of(task) in found else found[0]) for task, found in metrics.items()}
    rouge = {task for task, metric in chosen if metric.startswith("rouge")}
    keys = [
        (task, metric)
        for task, found in metrics.items()
        for metric in found
        if (task, metric) in chosen
        or (metric in FACTS and task in rouge)
        or (is_repaired(metric) and (task, metric.removesuffix(SUFFIX)) in chosen)
    ]
    order = [*AXES]
    axes = {task: data.task_axes.get(task, "") for task in metrics}
    return sorted(keys, key=lambda key: order.index(axes[key[0]]) if axes[key[0]] in order else len(order))


def overview_tables(data: ReportData) -> Iterator[Table]:
    """Yield the scores of the chosen measures beside their best floors, then one table of differences a parent."""
    keys = chosen_measures(data)
    yield _scores(data, keys)
    for parent in data.comparison.against:
        yield _differences(data, keys, parent)


def rest_line(data: ReportData) -> str:
    """Return the sentence that says what the overview leaves out."""
    every = {(score.task, score.metric) for score in data.comparison.scores}
    left = len(every) - len(chosen_measures(data))
    return f"{left} more measures, tests, shares and side effects: --all, or the page that `suture report` writes."


def _scores(data: ReportData, keys: list[Key]) -> Table:
    best = best_floors(data.known_floors)
    rows = []
    for task, metric in keys:
        cells = [described_cell(data.comparison.score(model, task, metric)) for model in data.comparison.models]
        floor = best.get((task, metric))
        text = f"{value_text(metric, floor.value)} {floor.model}" if floor else MISSING
        rows.append(Row((Cell(measure_in_unit(task, metric)), *cells, Cell(text, "mute", number=True))))
    caption = (
        "The primary metric of each task, omitted and made-up facts beside ROUGE: means of the items with their 95 % "
        "intervals."
    )
    caption += "" if best else NO_FLOORS
    return Table("Overview: scores", caption, ("measure", *data.comparison.models, "best floor"), tuple(rows))


def _differences(data: ReportData, keys: list[Key], parent: str) -> Table:
    models = [model for model in data.comparison.models if model != parent]
    rows = []
    for task, metric in keys:
        contrasts = [data.comparison.contrast(model, parent, task, metric) for model in models]
        n = next((count_text(c.n, c.clusters) for c in contrasts if c), MISSING)
        cells = [_difference(contrast) for contrast in contrasts]
        rows.append(Row((Cell(measure_in_unit(task, metric)), Cell(n, number=True), *cells)))
    caption = (
        f"Model − {parent}, paired by item, with 95 % intervals; ± is the smallest difference found at 80 % power at "
        "this n. A mark stands where a margin is stated."
    )
    return Table(f"Overview: differences to {parent}", caption, ("measure", "n", *models), tuple(rows))


def _difference(contrast: Contrast | None) -> Cell:
    if contrast is None:
        return Cell(MISSING, number=True)
    metric = contrast.metric
    judged = contrast.verdict != "descriptive"
    tone = TONES[contrast.verdict] if judged else ""
    text = value_text(metric, contrast.difference, signed=True)
    lines = (
        interval_text(metric, contrast.interval, signed=True),
        f"±{value_text(metric, contrast.mde)}" if isfinite(contrast.mde) else "",
        verdict_words(contrast.verdict) if judged else "",
    )
    details = tuple(line for line in lines if line)
    return Cell(f"{MARKS[tone]} {text}" if judged else text, tone, number=True, details=details)
