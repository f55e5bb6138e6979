"""`suture compare general=RESULTS merged=RESULTS --against general`: paired by item, with intervals and verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from suture.report.table import Table


def compare(
    results: Annotated[list[str], typer.Argument(help="label=FOLDER, the folder that `suture eval` named.")],
    against: Annotated[str, typer.Option("--against", help="The parents' labels, with commas.")],
    floors: Annotated[Path | None, typer.Option("--floors", help="The folder that holds floor-<kind>.")] = None,
    study: Annotated[Path | None, typer.Option("--study", help="A study file, for its margins.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write comparison.json here.")] = None,
) -> None:
    """Compare models with their parents on the items that they answered; refuses different items or prompts."""
    from suture.cli.console import console
    from suture.compare.compare import compare as compare_results
    from suture.compare.verdicts import write_comparison
    from suture.report.tables import contrast_table
    from suture.report.terminal import draw
    from suture.study.finished import bare_report
    from suture.study.schema import load_study
    from suture.study.scores import floor_folders

    found = compare_results(
        _folders(results),
        against=[label.strip() for label in against.split(",")],
        floors=floor_folders(floors) if floors else {},
        margins=[entry.margin() for entry in load_study(study).margins] if study else [],
    )
    if out is not None:
        write_comparison(out, found)
    left_out = {"smallest provable", *(() if found.margins else ("margin", "verdict"))}
    console().print(draw(_without(contrast_table(bare_report("Comparison", found)), left_out)))


def _without(table: Table, columns: set[str]) -> Table:
    kept = [index for index, name in enumerate(table.columns) if name not in columns]
    rows = tuple(replace(row, cells=tuple(row.cells[index] for index in kept)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[index] for index in kept), rows=rows)


def _folders(entries: list[str]) -> dict[str, Path]:
    from suture.errors import Problem, UsageError, refuse

    parted = [entry.partition("=") for entry in entries]
    must = "Results must be given as label=FOLDER, each label once."
    labels = [label for label, _, _ in parted]
    refuse(
        UsageError,
        [
            Problem(must, f"'{entry}'")
            for entry, (label, _, folder) in zip(entries, parted, strict=True)
            if not label or not folder or labels.count(label) > 1
        ],
    )
    return {label: Path(folder) for label, _, folder in parted}
