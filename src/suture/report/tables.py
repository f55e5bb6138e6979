"""The report's tables: scores, verdicts, drift, planning, realised coefficients, signatures, digests."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from suture.compare.verdicts import Contrast, Score
from suture.report.data import RealisedRow, ReportData
from suture.report.labels import (
    AXES,
    MARKS,
    MISSING,
    TASKS,
    TONES,
    coefficient,
    in_unit,
    interval_text,
    measure,
    measure_in_unit,
    metric_style,
    realised,
    share,
    unit_of,
    value_text,
    verdict_words,
    with_interval,
)
from suture.report.table import Cell, Row, Table

WARN_BEYOND = 0.05  # share of the nominal coefficient by which the realised one may differ without a warning


def score_table(data: ReportData) -> Table:
    """Return one row a model: realised coefficient, where any is known, and the score on each axis with a margin."""
    merged = any(isfinite(card.realised) for card in data.models)
    axes = data.comparison.axes
    columns = tuple(measure_in_unit(axis.task, axis.metric) for axis in axes)
    rows = []
    for card in data.models:
        cells = [_interval_cell(data.comparison.score(card.label, axis.task, axis.metric)) for axis in axes]
        towards = [Cell(realised(card.realised), number=True)] if merged else []
        rows.append(Row((Cell(card.label), *towards, *cells), card.label))
    floors = [_floor(axis.floor, axis.metric, axis.floor_value) for axis in axes]
    if any(cell.text != MISSING for cell in floors):
        rows.append(Row((Cell("best floor", "mute"), *([Cell("", number=True)] if merged else []), *floors)))
    caption = "Mean of the items with its 95 % interval"
    caption += "; a is the realised coefficient, 0 = general, 1 = clinical." if merged else "."
    return Table("Scores", caption, ("model", *(["a"] if merged else []), *columns), tuple(rows))


def description_tables(data: ReportData) -> tuple[Table, ...]:
    """Return one table a task for the metrics that carry no margin: the mean of every model, then of every floor."""
    judged = {(axis.task, axis.metric) for axis in data.comparison.axes}
    scores = [*data.comparison.scores, *data.known_floors]
    described = [s for s in scores if (s.task, s.metric) not in judged and data.task_axes.get(s.task) != "probe"]
    found: dict[str, dict[str, None]] = {}
    for score in described:
        found.setdefault(score.task, {})[score.metric] = None
    values = {(score.task, score.model, score.metric): score for score in described}
    return tuple(_description(task, tuple(metrics), values) for task, metrics in found.items())


def _description(task: str, metrics: tuple[str, ...], values: Mapping[tuple[str, str, str], Score]) -> Table:
    rows = []
    for model in dict.fromkeys(model for where, model, _ in values if where == task):
        scores = [values.get((task, model, metric)) for metric in metrics]
        cells = [described_cell(score) for score in scores]
        rows.append(Row((Cell(model), *cells), model))
    columns = ("model", *(in_unit(metric_style(metric).name, metric) for metric in metrics))
    title = TASKS.get(task, task.replace("_", " "))
    caption = "Means with 95 % intervals, floors last; they describe and carry no verdict."
    return Table(title[0].upper() + title[1:], caption, columns, tuple(rows))


def described_cell(score: Score | None) -> Cell:
    """Return a mean with its interval below it; a dash where nothing was measured."""
    if score is None:
        return Cell(MISSING, number=True)
    bounds = interval_text(score.metric, score.interval)
    return Cell(value_text(score.metric, score.value), number=True, details=(bounds,) if bounds else ())


def verdict_table(data: ReportData) -> Table:
    """Return one row for each model and parent, one column for each axis with a margin; the A/A row comes last."""
    keys = [(axis.task, axis.metric) for axis in data.comparison.axes]
    margins = [
        f"{measure_in_unit(m.task, m.metric)}, margin {value_text(m.metric, m.value)}" for m in data.comparison.margins
    ]
    found = [*data.comparison.contrasts, *data.replicates, *data.comparison.replicates]
    pairs = dict.fromkeys((contrast.model, contrast.against) for contrast in found)
    by_key = {(c.model, c.against, c.task, c.metric): c for c in found}
    rows = [
        Row((Cell(model), Cell(against), *(_verdict(by_key.get((model, against, *key))) for key in keys)), model)
        for model, against in pairs
    ]
    caption = (
        "Model − parent, paired by item, with its 95 % interval. Kept: the loss, if there is one, is smaller than the "
        "margin. Forgotten: a loss is established and may exceed the margin. Otherwise neither is established at this "
        "n. Items: the shares lost (−) and gained (+) of a 0/1 metric."
    )
    return Table("Verdicts", caption, ("model", "against", *margins), tuple(rows))


def drift_table(data: ReportData) -> Table:
    """Return the distance of every model from each parent, where drift was measured."""
    found = [score for score in data.comparison.scores if score.metric.startswith("kl_to_")]
    metrics = tuple(dict.fromkeys(score.metric for score in found))
    rows = []
    for card in data.models:
        mine = {score.metric: score for score in found if score.model == card.label}
        if mine:
            cells = [_interval_cell(mine.get(metric)) for metric in metrics]
            rows.append(Row((Cell(card.label), *cells), card.label))
    columns = ("model", *(f"KL to {metric.removeprefix('kl_to_')}, nats a token" for metric in metrics))
    caption = (
        "Mean KL a token to each parent on that parent's own answers: a diagnostic of distance, never a verdict. "
        "A better model drifts too."
    )
    return Table("Drift", caption, columns, tuple(rows))


def planning_table(data: ReportData) -> Table:
    """Return what this n can prove on each axis, worked out before any model was run."""
    columns = ("axis", "measure", "n", "clusters", "best floor", "margin", "smallest provable", "provable")
    rows = [
        Row(
            (
                Cell(AXES.get(row.axis, row.axis)),
                Cell(measure_in_unit(row.task, row.metric)),
                Cell(str(row.n), number=True),
                Cell(str(row.clusters), number=True),
                _floor(row.floor, row.metric, row.floor_value),
                Cell(value_text(row.metric, row.margin), number=True),
                Cell(value_text(row.metric, row.smallest), number=True),
                Cell("✓ yes", "kept") if row.provable else Cell("? no", "open"),
            )
        )
        for row in data.planning
    ]
    caption = "Fixed before any model was run: the smallest margin provable at 80 % power with the planned spread."
    return Table("What this n can show", caption, columns, tuple(rows))


def realised_table(data: ReportData) -> Table:
    """Return, for each nominal coefficient, what remained of it in every dtype and rounding."""
    ways = tuple(dict.fromkeys((row.dtype, row.rounding) for row in data.realised))
    rows = []
    for nominal in dict.fromkeys(row.nominal for row in data.realised):
        mine = {(row.dtype, row.rounding): row for row in data.realised if row.nominal == nominal}
        rows.append(Row((Cell(coefficient(nominal), number=True), *(_realised(mine.get(way)) for way in ways))))
    columns = ("nominal", *(f"{dtype}, {rounding}" if rounding else dtype for dtype, rounding in ways))
    caption = (
        "The projection of (merge − general) on (clinical − general) in the weights as written; "
        "marked ! where it lies more than 5 % off the nominal one."
    )
    return Table("Realised coefficients", caption, columns, tuple(rows))


def margin_lines(data: ReportData) -> tuple[tuple[str, str], ...]:
    """Return each margin in words and the reason that was given for it."""
    return tuple(
        (f"{measure(m.task, m.metric)}: {value_text(m.metric, m.value)} {unit_of(m.metric)}".rstrip(), m.reason)
        for m in data.comparison.margins
    )


def digest_table(data: ReportData) -> Table:
    """Return role, method and digests of every model."""
    columns = ("model", "role", "method", "weights digest", "manifest digest")
    rows = [
        Row(
            (
                Cell(card.label),
                Cell(card.role),
                Cell(card.method),
                Cell(card.weights_digest, "code"),
                Cell(data.provenance.manifests.get(card.label, MISSING), "code"),
            ),
            card.label,
        )
        for card in data.models
    ]
    return Table("Weights", "BLAKE3 over all tensors; suture digest recomputes it.", columns, tuple(rows))


def signature_table(data: ReportData) -> Table:
    """Return, for each task and signature, the metrics that it stands for and the digest of the prompts asked."""
    found: dict[tuple[str, str], list[str]] = {}
    for task, metrics in data.comparison.signatures.items():
        for metric, signature in metrics.items():
            found.setdefault((task, signature), []).append(metric_style(metric).name)
    rows = [
        Row(
            (
                Cell(TASKS.get(task, task.replace("_", " "))),
                Cell(", ".join(names)),
                Cell(signature, "code"),
                Cell(data.comparison.prompts.get(task, MISSING)[:16], "code"),
            )
        )
        for (task, signature), names in found.items()
    ]
    caption = "How each number is computed; equal for all models, else they are refused. Prompts: start of the digest."
    return Table("Signatures", caption, ("task", "metrics", "signature", "prompts"), tuple(rows))


def needs_warning(row: RealisedRow) -> bool:
    """Return whether the realised coefficient lies more than 5 % off the nominal one."""
    return not abs(row.realised - row.nominal) <= WARN_BEYOND * abs(row.nominal)


def _verdict(contrast: Contrast | None) -> Cell:
    if contrast is None:
        return Cell(MISSING, "mute")
    tone = TONES[contrast.verdict]
    lines = [with_interval(contrast.metric, contrast.difference, contrast.interval, signed=True)]
    if isfinite(contrast.forgotten):
        lines.append(f"{share(-contrast.forgotten)} {share(contrast.gained, signed=True)} items")
    if isfinite(contrast.retention):
        lines.append(f"retains {share(contrast.retention)}")
    return Cell(f"{MARKS[tone]} {verdict_words(contrast.verdict)}", tone, details=tuple(lines))


def _floor(floor: str, metric: str, value: float) -> Cell:
    return Cell(f"{value_text(metric, value)} ({floor})" if isfinite(value) else MISSING, "mute", number=True)


def _interval_cell(score: Score | None) -> Cell:
    return Cell(with_interval(score.metric, score.value, score.interval) if score else MISSING, number=True)


def _realised(row: RealisedRow | None) -> Cell:
    if row is None:
        return Cell(MISSING, "mute", number=True)
    warned = needs_warning(row)
    return Cell(f"{'! ' if warned else ''}{realised(row.realised)}", "warn" if warned else "", number=True)
