"""The evaluation as a section of a model card: scores with intervals, verdicts against the parents, what was asked."""

from __future__ import annotations

from math import isfinite

from suture.compare.verdicts import Comparison
from suture.errors import Problem, UsageError
from suture.report.labels import MISSING, measure, measure_in_unit, value_text, with_interval
from suture.strict_yaml import nearest


def evaluation_section(comparison: Comparison, label: str) -> str:
    """Return Markdown: one row a measure of the model `label`, beside every parent's difference and verdict.

    Raises UsageError where the comparison has no such model.
    """
    if label not in comparison.models:
        do = nearest(label, comparison.models)
        raise UsageError(Problem("The label must be one of the comparison's models.", label, "--label", do))
    others = [parent for parent in comparison.against if parent != label]
    heads = ["measure", "n", "score", *(f"minus {parent}" for parent in others)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for score in comparison.scores:
        if score.model != label:
            continue
        cells = [_differs(comparison, label, parent, score.task, score.metric) for parent in others]
        value = with_interval(score.metric, score.value, score.interval)
        lines.append(f"| {measure_in_unit(score.task, score.metric)} | {score.n} | {value} | {' | '.join(cells)} |")
    margins = "; ".join(
        f"{measure(m.task, m.metric)}: {value_text(m.metric, m.value)}, {m.reason}" for m in comparison.margins
    )
    notes = ["Means with 95 % intervals; differences are paired by item. No item's text stands here."]
    if margins:
        notes.append(f"Kept: the loss is smaller than the margin stated beforehand ({margins})")
    digest = comparison.digests.get(label, "")
    notes += [f"Weights digest of what was measured: `{digest}`."] if digest else []
    return "\n".join([*lines, "", *notes])


def _differs(comparison: Comparison, label: str, parent: str, task: str, metric: str) -> str:
    found = comparison.contrast(label, parent, task, metric)
    if found is None or not isfinite(found.difference):
        return MISSING
    said = with_interval(metric, found.difference, found.interval, signed=True)
    return said if found.verdict == "descriptive" else f"{said}, {found.verdict}"
