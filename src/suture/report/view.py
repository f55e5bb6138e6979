"""What the page's script needs, as one JSON-able mapping; NaN becomes null, and without text no text enters it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from blake3 import blake3

from suture.compare.axes import orientation
from suture.compare.verdicts import Contrast, Score
from suture.evaluate.repaired import is_repaired
from suture.report.data import AnswerSet, ReportData
from suture.report.diff import word_diff
from suture.report.finding import at_stake, findings
from suture.report.labels import (
    TASKS,
    TONES,
    coefficient,
    is_quality,
    measure,
    metric_style,
    realised,
    value_text,
    with_interval,
)
from suture.report.plane import fronts, opening
from suture.report.regressions import Regression, regressions


def page_data(data: ReportData, *, text: bool) -> dict[str, Any]:
    """Return the data of the slider, the curve, the sweep, the lists and, with `text`, the answers."""
    keys = dict.fromkeys((score.task, score.metric) for score in data.comparison.scores)
    return {
        "path": [_stop(data, index) for index in range(len(data.path))],
        "models": [
            {"label": c.label, "role": c.role, "start": c.start, "a": _null(c.nominal), "realised": _null(c.realised)}
            for c in data.models
        ],
        "metrics": {_key(*key): _metric(data, *key) for key in keys},
        "fronts": fronts(data),
        "opening": [_key(*key) for key in opening(data) or ()],
        "axes": [_axis(data, index) for index in range(len(data.comparison.axes))],
        "scores": [_score(score) for score in data.comparison.scores],
        "items": [
            _items(contrast, text=text)
            for contrast in data.comparison.contrasts
            if isfinite(contrast.forgotten) and not is_repaired(contrast.metric)
        ],
        "parents": list(data.comparison.against),
        "regressions": [_regression(found) for found in regressions(data)] if text else [],
        "answers": [_answers(data, answers) for answers in data.answers] if text else [],
    }


def item_names(task: str, items: Sequence[str], *, text: bool) -> list[str]:
    """Return item ids as they are with `text`, else the first 12 digits of BLAKE3 over "task/id"."""
    return list(items) if text else [blake3(f"{task}/{item}".encode()).hexdigest()[:12] for item in items]


def _stop(data: ReportData, index: int) -> dict[str, Any]:
    point = data.path[index]
    card = data.card(point.model)
    finding = next((found for found in findings(data) if found.model == point.model), None)
    return {
        "model": point.model,
        "role": card.role if card else "",
        "a": point.nominal,
        "nominal": coefficient(point.nominal),
        "realised": realised(point.realised),
        "opening": finding.opening if finding else "",
        "clauses": [[TONES[c.verdict], c.verb, c.what] for c in finding.clauses] if finding else [],
        "stake": [_stake(data, contrast) for contrast in at_stake(data, point.model)],
    }


def _stake(data: ReportData, contrast: Contrast) -> dict[str, Any]:
    difference = with_interval(contrast.metric, contrast.difference, contrast.interval, signed=True)
    return {
        "key": _key(contrast.task, contrast.metric),
        "against": contrast.against,
        "difference": difference,
        "verdict": contrast.verdict,
    }


def _metric(data: ReportData, task: str, metric: str) -> dict[str, Any]:
    style = metric_style(metric)
    axis = data.task_axes.get(task, "")
    return {
        "label": measure(task, metric),
        "axis": axis,
        "unit": style.unit,
        "scale": style.scale,
        "decimals": style.decimals,
        "better": orientation(metric),
        "plotted": is_quality(metric),
    }


def _axis(data: ReportData, index: int) -> dict[str, Any]:
    axis = data.comparison.axes[index]
    return {"axis": axis.axis, "key": _key(axis.task, axis.metric)}


def _score(score: Score) -> dict[str, Any]:
    return {
        "model": score.model,
        "key": _key(score.task, score.metric),
        "n": score.n,
        "value": _null(score.value),
        "low": _null(score.interval.low),
        "high": _null(score.interval.high),
    }


def _items(contrast: Contrast, *, text: bool) -> dict[str, Any]:
    """Lost and gained items: by name beside their texts, else by a digest, since a name may tell a patient."""
    return {
        "model": contrast.model,
        "against": contrast.against,
        "key": _key(contrast.task, contrast.metric),
        "n": contrast.n,
        "lost": item_names(contrast.task, contrast.forgotten_items, text=text),
        "gained": item_names(contrast.task, contrast.gained_items, text=text),
    }


def _regression(found: Regression) -> dict[str, Any]:
    change = value_text(found.metric, -orientation(found.metric) * found.loss, signed=True)
    return {
        "model": found.model,
        "against": found.against,
        "key": _key(found.task, found.metric),
        "answer": found.answer,
        "score": f"{change} {metric_style(found.metric).unit}".rstrip() if isfinite(found.loss) else "",
    }


def _answers(data: ReportData, found: AnswerSet) -> dict[str, Any]:
    base = found.answers.get(data.path[0].model, "") if data.path else ""
    return {
        "task": found.task,
        "name": TASKS.get(found.task, found.task),
        "item": found.item_id,
        "prompt": found.prompt,
        "reference": found.reference,
        "answers": {label: word_diff(base, answer) for label, answer in found.answers.items()},
        "scores": {
            label: [
                [metric_style(metric).name, _written(metric, value)]
                for metric, value in scores.items()
                if isfinite(value)
            ]
            for label, scores in found.scores.items()
        },
        "facts": {
            label: [{"kind": mark.kind, "text": mark.text, "state": mark.state} for mark in marks]
            for label, marks in found.facts.items()
        },
    }


def _written(metric: str, value: float) -> str:
    style = metric_style(metric)
    unit = style.unit if style.unit == "%" else ""
    return f"{value * style.scale:.{style.decimals}f}{unit}".replace("-", "−")


def _key(task: str, metric: str) -> str:
    return f"{task}/{metric}"


def _null(value: float) -> float | None:
    return value if isfinite(value) else None
