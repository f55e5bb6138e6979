"""`suture recipe schema` and `suture recipe convert`: the recipe format for editors, and mergekit's recipes in ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suture.errors import Problem, UsageError

if TYPE_CHECKING:
    from suture.recipe import Recipe

COMPAT = typer.Option("--compat", help="RECIPE is one of mergekit 0.1.5: ignore what it ignores, with a note for each.")
SHARD_SIZE = typer.Option("--out-shard-size", help="Bytes of a weight file, such as 5B, 500M or 2000000000.")
RANDOM_SEED = typer.Option("--random-seed", help="Seed of random methods and of rounding; wins over the recipe's.")
UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9}

app = typer.Typer(name="recipe", help="The recipe format.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    from suture.recipe.json_schema import recipe_schema

    typer.echo(recipe_schema(), nl=False)


@app.command()
def convert(recipe: Annotated[Path, typer.Argument(help="A recipe of mergekit 0.1.5.")]) -> None:
    """Print RECIPE in our own keys, which `suture merge` runs without --compat; notes go to stderr."""
    from suture.recipe import load_recipe

    found = load_recipe(recipe, compat=True)
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(found.to_yaml(), nl=False)


def read(path: Path, *, compat: bool, shard_size: str | None = None, seed: int | None = None) -> Recipe:
    """Read the recipe of a command line. Raises as load_recipe does, and UsageError for a size that is none."""
    from suture.recipe import load_recipe

    changes: dict[str, int] = {}
    if shard_size is not None:
        changes["max_shard_bytes"] = _bytes(shard_size)
    if seed is not None:
        changes["seed"] = seed
    return load_recipe(path, compat=compat).changed(**changes)


def _bytes(text: str) -> int:
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in UNITS else (text, "")
    if not number.isdigit() or int(number) * UNITS.get(unit, 1) < 1 << 20:
        must = "A shard size must be a whole number of bytes from 1048576 on, or one with K, M or B."
        raise UsageError(Problem(must, f"'{text}'", "--out-shard-size"))
    return int(number) * UNITS.get(unit, 1)
