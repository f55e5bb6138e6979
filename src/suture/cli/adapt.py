"""`suture adapt MODEL OUT --data FILE`: adapt a model to a task with a few examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def adapt(
    model: Annotated[str, typer.Argument(help="The model's folder, or a hub id in the local cache.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    data: Annotated[Path, typer.Option("--data", help="Records, one JSON object a line.")],
    shots: Annotated[int | None, typer.Option(min=1, help="How many records to draw; all by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the shots and orders the training.")] = 0,
    instruction: Annotated[str, typer.Option(help="The user's turn; {input} is the record's text.")] = "{input}",
    steps: Annotated[int, typer.Option(help="Updates.")] = 16,
    batch: Annotated[int, typer.Option(help="Records an update.")] = 4,
    length: Annotated[int, typer.Option(help="Longest exchange in tokens.")] = 512,
    learning_rate: Annotated[float, typer.Option(help="Peak of the learning rate.")] = 3e-4,
    lora_rank: Annotated[int, typer.Option(help="Rank of the adapter that is merged at the end; 0 trains all.")] = 8,
) -> None:
    """Fine-tune MODEL on records of FILE and write an ordinary checkpoint to OUT."""
    from suture.adapt.settings import Settings
    from suture.adapt.shots import draw_shots
    from suture.adapt.train import supervised
    from suture.checkpoint.resolve import resolve_model
    from suture.checkpoint.writer import refuse_existing
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.data.records import Record, read_items

    settings = Settings(
        steps=steps,
        batch=batch,
        length=length,
        learning_rate=learning_rate,
        warmup=min(2, steps - 1),
        seed=seed,
        lora_rank=lora_rank or None,
    )
    refuse_existing(out)
    folder, records = resolve_model(model), read_items(data, Record)
    chosen = draw_shots(records, len(records) if shots is None else shots, seed)
    with progress():
        supervised(folder, chosen, out, settings, instruction=instruction)
    console().print(f"adapted on {len(chosen)} records, wrote {out}", highlight=False, markup=False)
