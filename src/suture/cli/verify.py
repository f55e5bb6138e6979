"""`suture verify OUT`: a merged checkpoint compared with its manifest and, tensor by tensor, with its parents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suture.cli.merge import ONLINE


def verify(
    out: Annotated[Path, typer.Argument(help="The folder of a merge, with its manifest.json.")],
    tensor: Annotated[
        list[str] | None, typer.Option(help="Make this tensor again from the parents and compare it; repeatable.")
    ] = None,
    all_tensors: Annotated[bool, typer.Option("--all", help="Make every tensor again and compare it.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one a core by default.")] = None,
    online: Annotated[bool, ONLINE] = False,
) -> None:
    """Compare OUT with its manifest: digests of output and parents, small files, tensors (exit 10: one differs)."""
    from suture.cli.progress import progress
    from suture.verify import verify as run

    with progress():
        found = run(out, tensors=None if all_tensors else tuple(tensor or ()), online=online, workers=workers)
    for note in found.notes:
        typer.echo(f"note: {note}")
    typer.echo(
        f"digests, layout and small files hold; {len(found.derived)} of {found.tensors} tensors made again: equal"
    )
    if not found.derived:
        typer.echo("add --tensor NAME or --all to make tensors again from the parents")
