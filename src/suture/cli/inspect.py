"""`suture inspect A B [--base C]`: how two models lie to one another, before anything is merged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suture.cli.merge import ONLINE

if TYPE_CHECKING:
    from rich.table import Table

    from suture.inspect import Geometry, Inspection


def inspect(
    a: Annotated[str, typer.Argument(help="The general model: a folder or a hub id.")],
    b: Annotated[str, typer.Argument(help="The clinical model.")],
    base: Annotated[str | None, typer.Option("--base", help="Their common ancestor, for task vectors.")] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="One line a tensor instead of one a layer.")] = False,
    page: Annotated[Path | None, typer.Option("--page", help="Also write the plots as an HTML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one a core by default.")] = None,
    online: Annotated[bool, ONLINE] = False,
) -> None:
    """Compare two models in weight space: distance, angles, sign conflict, what rounding to nearest would leave."""
    from suture.checkpoint.resolve import resolve_model
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.inspect import described, inspect_models

    general, clinical = (resolve_model(reference, online=online) for reference in (a, b))
    ancestor = resolve_model(base, online=online) if base is not None else None
    with progress():
        found = inspect_models(general, clinical, ancestor, workers=workers)
    if page is not None:
        from suture.report.geometry import write_geometry

        write_geometry(page, found)
    if as_json:
        parts = {"tensors": found.tensors, "layers": found.layers}
        content = {key: [described(one) for one in group] for key, group in parts.items()}
        typer.echo(json.dumps({"whole": described(found.whole), **content, "left_out": found.left_out}, indent=1))
        return
    console().print(_table(found, found.tensors if tensors else found.layers))
    console().print(_summary(found), highlight=False, markup=False)
    if page is not None:
        console().print(f"plots in {page}", highlight=False, markup=False)


def _table(found: Inspection, rows: tuple[Geometry, ...]) -> Table:
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False)
    for column in ("part", "distance", "cosine", "arcs", "0.1 becomes", "0.3", "0.5", "0.7", "0.9"):
        table.add_column(column, justify="left" if column == "part" else "right")
    if found.whole.based:
        table.add_column("cosine of task vectors", justify="right")
        table.add_column("sign conflict", justify="right")
    for one in (*rows, found.whole):
        cells = [one.name, f"{one.distance:.2%}", f"{one.cosine:.6f}", f"{one.arcs} of {one.tensors}"]
        cells += [f"{value:.3f}" for value in one.realised[::2]]
        if one.task_cosine is not None and one.sign_conflict is not None:
            cells += [f"{one.task_cosine:.3f}", f"{one.sign_conflict:.1%}"]
        table.add_row(*cells)
    return table


def _summary(found: Inspection) -> str:
    whole = found.whole
    kept = ", ".join(f"{value:.3f}" for value in whole.realised)
    lines = [
        f"slerp takes the arc on {whole.arcs} of {whole.tensors} tensors; on the others it is linear",
        f"rounded to nearest, linear at 0.1 to 0.9 would really be {kept}",
    ]
    if found.left_out:
        shown = ", ".join(found.left_out[:8]) + (" …" if len(found.left_out) > 8 else "")
        lines.append(f"not compared ({len(found.left_out)}): {shown}")
    return "\n".join(lines)
