"""`suture methods [NAME]`: the merge methods, or one of them explained from its declaration."""

from __future__ import annotations

from typing import Annotated

import typer


def methods(name: Annotated[str | None, typer.Argument(help="A method to explain.")] = None) -> None:
    """List the merge methods, or explain the one called NAME."""
    from rich.table import Table

    from suture.cli.console import console
    from suture.methods.registry import METHODS, get_method

    if name is None:
        table = Table(show_edge=False, pad_edge=False)
        for column in ("method", "shape", "what it does", "paper"):
            table.add_column(column)
        for method in METHODS.values():
            table.add_row(method.info.name, method.info.shape, method.info.summary, method.info.paper)
        console().print(table)
        return
    info = get_method(name).info
    most = "" if info.max_inputs == info.min_inputs else " or more"
    lines = [
        f"{info.name}: {info.summary}",
        f"paper: {info.paper}",
        f"formula: {info.formula}",
        f"deviations: {info.deviations}",
    ]
    base = "the first is base_model" if info.base == "required" else "no base"
    lines += [f"inputs: {info.min_inputs}{most}, {base}", "parameters:"]
    lines += [f"  {parameter.describe()}" for parameter in info.parameters]
    lines += [f"laws: {', '.join(info.laws)}"]
    console().print("\n".join(lines), highlight=False, markup=False)
