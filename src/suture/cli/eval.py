"""`suture eval MODEL --task T`: evaluate a model and keep every item."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="The model's folder, or a hub id in the local cache.")],
    task: Annotated[list[str], typer.Option("--task", help="A task, or task=FILE with items of one's own.")],
    results: Annotated[Path, typer.Option("--out", help="Where items are kept.")] = Path("results"),
    limit: Annotated[int | None, typer.Option(min=1, help="The first items of each task only.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="The folder Main-Dataset of MTS-Dialog.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Answers written at a time.")] = 32,
) -> None:
    """Evaluate MODEL and print the mean of every metric; a task whose results are there is not run again."""
    from rich.table import Table

    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.compare.axes import score_table
    from suture.compare.pairing import binary_metrics, metrics_of, read_results
    from suture.report.labels import measure, metric_style, with_interval
    from suture.study.evaluation import evaluate_tasks

    with progress():
        folder = evaluate_tasks(model, task, results, limit=limit, data=data, batch_size=batch_size)
    table = Table(show_edge=False, pad_edge=False)
    for column in ("measure", "mean, 95 % interval", "unit", "n"):
        table.add_column(column)
    asked = {entry.partition("=")[0] for entry in task}
    tables = {name: items for name, items in read_results(folder).items() if name in asked}
    binary = binary_metrics({model: tables})
    for name, items in tables.items():
        for metric in metrics_of(items):
            score = score_table(model, name, items, metric, binary=(name, metric) in binary)
            value = with_interval(metric, score.value, score.interval)
            table.add_row(measure(name, metric), value, metric_style(metric).unit, str(score.n))
    console().print(table)
    console().print(f"items in {folder}", highlight=False, markup=False)
