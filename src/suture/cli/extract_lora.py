"""`suture extract-lora MODEL BASE OUT`: the difference of two models as a PEFT adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from suture.cli.merge import ONLINE


def extract_lora(
    model: Annotated[str, typer.Argument(help="The adapted model: its folder, or a hub id in the local cache.")],
    base: Annotated[str, typer.Argument(help="What it was made from.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    rank: Annotated[int | None, typer.Option(help="Rank of each matrix, at the most.")] = None,
    energy: Annotated[float | None, typer.Option(help="Share of each squared difference to keep, in (0, 1].")] = None,
    dtype: Annotated[Literal["float32", "bfloat16", "float16"], typer.Option(help="Of the factors.")] = "float32",
    seed: Annotated[int, typer.Option(min=0, help="Of the random sketches.")] = 0,
    online: Annotated[bool, ONLINE] = False,
) -> None:
    """Write the difference of MODEL and BASE to OUT, as an adapter that PEFT loads and recipes name as BASE+OUT."""
    from suture.checkpoint.resolve import resolve_model
    from suture.checkpoint.target import refuse_existing
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.extract import Extent, extract_adapter, lowest

    extent = Extent(rank, energy)
    extent.check()
    refuse_existing(out)
    folders = resolve_model(model, online=online), resolve_model(base, online=online)
    code = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}[dtype]
    with progress():
        found = extract_adapter(*folders, out, extent, dtype=code, seed=seed, base_name=base)

    def say(text: str) -> None:
        console().print(text, highlight=False, markup=False)

    ranks = [m.rank for m in found.matrices]
    span = f", ranks {min(ranks)} to {max(ranks)}" if ranks else ""
    say(f"energy kept: {found.energy:.4f} of the squared difference, {len(ranks)} matrices{span}")
    for matrix in lowest(found.matrices):
        say(f"  {matrix.energy:.4f}  rank {matrix.rank:<4} {matrix.name}")
    say(f"saved whole: {len(found.saved)} vectors; equal in both models: {found.unchanged} tensors")
    for name, _ in found.not_captured:
        say(f"not captured: {name}")
    say(f"wrote {out}")
