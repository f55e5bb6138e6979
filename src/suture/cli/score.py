"""`suture score --task T --predictions FILE --references FILE`: the published scores of outputs that are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from suture.evaluate.scoring.result import Scored


def score(
    task: Annotated[str, typer.Option("--task", help="ifeval, ifbench, mts_dialog, aci_bench, open_i, …")],
    predictions: Annotated[Path, typer.Option("--predictions", help="JSON lines: id, prediction (key, response).")],
    references: Annotated[Path, typer.Option("--references", help="JSON lines: id, reference; or the prompts.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    items: Annotated[Path | None, typer.Option("--items", help="Write each item's scores here, as JSON lines.")] = None,
    encoder: Annotated[Path | None, typer.Option("--encoder", help="The folder of a BERTScore encoder.")] = None,
    encoder_layer: Annotated[int | None, typer.Option("--encoder-layer", min=1, help="The layer compared.")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="A further metric, by name.")] = None,
    composite: Annotated[list[str] | None, typer.Option("--composite", help="acibench, discharge-me, plain.")] = None,
    composites: Annotated[Path | None, typer.Option("--composites", help="A YAML file of your composites.")] = None,
) -> None:
    """Score predictions as the task's published evaluation does, and say how; every number carries its signature."""
    import json

    from suture.cli.progress import progress
    from suture.evaluate.metrics.bertscore import find_encoder
    from suture.evaluate.scoring.result import to_json, write_items
    from suture.evaluate.scoring.score import score_file
    from suture.evaluate.scoring.texts import TextOptions

    options = TextOptions(find_encoder(encoder, encoder_layer), tuple(metric or ()), tuple(composite or ()), composites)
    with progress():
        scored = score_file(task, predictions, references, options, warn=_warn)
    if items is not None:
        write_items(items, scored)
    if as_json:
        typer.echo(json.dumps(to_json(scored), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _draw(scored)


def _warn(warning: str) -> None:
    typer.echo(f"warning: {warning}", err=True)


def _draw(scored: Scored) -> None:
    import math

    from rich.table import Table

    from suture.cli.console import console

    table = Table(show_edge=False, pad_edge=False)
    for column in ("score", "value", "range", "signature"):
        table.add_column(column)
    for name, score in scored.scores.items():
        value = "-" if math.isnan(score.value) else f"{score.value:.2f}"
        low, high = score.range or (0.0, 0.0)
        table.add_row(name, value, f"{low:.2f} to {high:.2f}" if low != high else "", score.signature)
    console().print(table)
    protocol = scored.protocol
    lines = [
        f"n {scored.n}, missing {scored.missing}, extra {scored.extra}",
        protocol.how,
        f"Source: {protocol.source}.",
    ]
    lines += [f"Deviation: {deviation}" for deviation in protocol.deviations]
    lines += [f"{name}: {value}" for name, value in scored.about.items()]
    for line in lines:
        console().print(line, highlight=False, markup=False)
