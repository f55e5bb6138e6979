"""The report as a plain document: the same tables as the page, for formats without script, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import isfinite
from typing import Any

from suture.compare.verdicts import as_json
from suture.report.compact import noise_table
from suture.report.contrasts import contrast_table, recovered_table
from suture.report.curves import curve_table, parity_sentence, parity_table
from suture.report.data import ReportData
from suture.report.finding import findings, headline, what_was_merged
from suture.report.heat import heat_table
from suture.report.plane import front_sentence, fronts
from suture.report.sweep import sweep_table
from suture.report.table import Table
from suture.report.tables import (
    description_tables,
    digest_table,
    drift_table,
    margin_lines,
    planning_table,
    realised_table,
    score_table,
    signature_table,
)
from suture.report.view import item_names


def opening_lines(data: ReportData) -> tuple[str, ...]:
    """Return the sentences that stand above the tables: the finding, how the models came to be, the front, margins."""
    found = headline(data)
    lines = [
        *(["Synthetic records, fictional patients."] if data.synthetic else []),
        found.sentence if found else data.gate.sentence,
        *(other.sentence for other in findings(data) if other != found),
        what_was_merged(data),
        front_sentence(data),
        *(parity_sentence(curves, parity) for curves in data.curves for parity in curves.parities),
        *(f"Margin of {what}: {why}" for what, why in margin_lines(data)),
        *data.notes,
        *data.comparison.notes,
    ]
    return tuple(filter(None, lines))


def tables_of(data: ReportData) -> Iterator[Table]:
    """Yield every table of the report that has rows, in the order of the page."""
    found = (
        score_table(data) if data.comparison.axes else None,
        heat_table(data),
        recovered_table(data),
        contrast_table(data),
        parity_table(data),
        curve_table(data),
        sweep_table(data),
        *description_tables(data),
        planning_table(data),
        noise_table(data),
        drift_table(data),
        realised_table(data),
        digest_table(data),
        signature_table(data),
    )
    yield from (table for table in found if table and table.rows and len(table.columns) > 1)


def report_json(data: ReportData, *, text: bool) -> dict[str, Any]:
    """Return the report as JSON-able values: numbers and digests; with `text` also item names and answers."""
    comparison = as_json(data.comparison)
    for part in ("contrasts", "replicates"):
        comparison[part] = _named(comparison[part], text=text)
    return {
        "title": data.title,
        "synthetic": data.synthetic,
        "lines": list(opening_lines(data)),
        "models": as_json([asdict(card) for card in data.models]),
        "comparison": comparison,
        "fronts": fronts(data),
        "curves": [as_json(found) for found in data.curves],
        "planning": as_json([asdict(row) for row in data.planning]),
        "gate": as_json(data.gate),
        "realised": as_json([asdict(row) for row in data.realised]),
        "replicates": _named(as_json([asdict(row) for row in data.replicates]), text=text),
        "provenance": as_json(data.provenance),
        "answers": [_answer(asdict(found)) for found in data.answers] if text else [],
    }


def _named(rows: list[dict[str, Any]], *, text: bool) -> list[dict[str, Any]]:
    for row in rows:
        for name in ("forgotten_items", "gained_items", "worst_items"):
            row[name] = item_names(row["task"], row[name], text=text)
    return rows


def _answer(found: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: {name: value for name, value in scored.items() if isfinite(value)}
        for label, scored in found["scores"].items()
    }
    return found | {"scores": scores}
