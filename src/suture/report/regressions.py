"""The worst regressions: which items each merged model lost to the parent better at them, where answers are kept."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from suture.compare.axes import orientation
from suture.compare.verdicts import Contrast
from suture.report.data import ReportData
from suture.report.finding import better_parent
from suture.report.plane import plane_keys

PARENTS = ("ancestor", "general", "clinical", "replicate")


@dataclass(frozen=True, slots=True)
class Regression:
    """One item that `model` lost to `against`; answer: its place in the report's answers; loss in the metric's unit."""

    model: str
    against: str
    task: str
    metric: str
    answer: int
    loss: float


def regressions(data: ReportData) -> tuple[Regression, ...]:
    """Return the regressions of the models that are no parents, whole flips first, then by loss against the spread.

    Losses of different measures are put in one order by dividing each by the standard deviation of its contrast.
    """
    places = {(found.task, found.item_id): index for index, found in enumerate(data.answers)}
    found: list[Regression] = []
    for card in data.models:
        for task, metric in plane_keys(data) if card.role not in PARENTS else ():
            contrast = data.comparison.contrast(card.label, better_parent(data, task, metric), task, metric)
            if contrast is not None:
                items = (*contrast.forgotten_items, *contrast.worst_items)
                found += [_regression(data, contrast, places[task, i]) for i in items if (task, i) in places]
    spread = {(c.model, c.against, c.task, c.metric): c.sd for c in data.comparison.contrasts}
    return tuple(sorted(found, key=lambda row: -_size(row, spread[row.model, row.against, row.task, row.metric])))


def _regression(data: ReportData, contrast: Contrast, place: int) -> Regression:
    scores = data.answers[place].scores
    model, against = (scores.get(label, {}).get(contrast.metric, nan) for label in (contrast.model, contrast.against))
    loss = orientation(contrast.metric) * (against - model)
    return Regression(contrast.model, contrast.against, contrast.task, contrast.metric, place, loss)


def _size(row: Regression, spread: float) -> float:
    size = row.loss / spread if spread > 0 else row.loss
    return size if size == size else 0.0
