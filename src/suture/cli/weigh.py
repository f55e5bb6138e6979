"""`suture weigh GENERAL CLINICAL --by RULE --out RECIPE.yaml`: weights that need no search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def weigh(
    general: Annotated[str, typer.Argument(help="The general parent: a folder or hub id.")],
    clinical: Annotated[str, typer.Argument(help="The clinical parent.")],
    by: Annotated[
        Literal["half", "lm-cocktail", "fisher", "regmean", "model-stock"], typer.Option("--by", help="The rule.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The recipe to write; a new file.")],
    base: Annotated[str | None, typer.Option("--base", help="The common ancestor, for model-stock.")] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="TASK=FILE: examples for lm-cocktail, no test items.")
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=1, help="How many of the file's first.")] = 16,
    temperature: Annotated[float, typer.Option("--temperature", help="Of lm-cocktail, in nats.")] = 1.0,
    information: Annotated[
        list[str] | None,
        typer.Option("--information", help="Files of suture calibrate for fisher or regmean: general's, clinical's."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None, typer.Option("--dtype", help="What the merge writes.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where losses are computed.")] = "cpu",
) -> None:
    """Write a recipe whose weights follow from RULE; compare it with others by `suture eval` and `suture compare`."""
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.weigh import Request, write_recipe
    from suture.weigh import weigh as chosen

    name, _, file = (task or "").partition("=")
    items = Path(file) if file else None
    given = (name or None, items, examples, temperature, tuple(information or ()), dtype)
    with progress():
        found = chosen(Request(by, general, clinical, base, *given), device=device)
    write_recipe(found, out)
    if found.weights is not None:
        console().print(f"general {found.weights[0]:.4f}, clinical {found.weights[1]:.4f}", highlight=False)
    console().print(found.reason, highlight=False, markup=False)
    console().print(f"wrote {out}", highlight=False, markup=False)
