"""`suture plan RECIPE`: what a merge would do, from the headers alone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suture.cli.merge import ONLINE
from suture.cli.recipe import COMPAT, read

if TYPE_CHECKING:
    from suture.plan import Plan


def plan(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, every tensor named.")] = False,
    online: Annotated[bool, ONLINE] = False,
    compat: Annotated[bool, COMPAT] = False,
) -> None:
    """Check RECIPE against its models' headers and show what a merge would do; no weight is read."""
    from suture.cli.console import console
    from suture.plan import make_plan

    found = make_plan(read(recipe, compat=compat), online=online)
    if as_json:
        typer.echo(json.dumps(_described(found), indent=1))
        return
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(title=f"{found.recipe.merge_method}: {found.recipe.method.info.summary}", title_justify="left")
    table.add_column("input")
    table.add_column("role")
    table.add_column("tensors", justify="right")
    table.add_column("bytes", justify="right")
    for index, (name, checkpoint) in enumerate(zip(found.models, found.checkpoints, strict=False)):
        size = sum(info.nbytes for info in checkpoint.tensors.values())
        table.add_row(name, _role(found, index, name), str(len(checkpoint.tensors)), decimal(size))
    console().print(table)
    actions = Counter((job.action, job.dtype) for job in found.jobs)
    for (action, dtype), count in sorted(actions.items()):
        console().print(f"{count} tensors: {action}, written as {dtype}")
    console().print(f"reads {decimal(found.bytes_read)} a pass, writes {decimal(found.bytes_written)}")
    console().print(f"config, tokenizer and chat template from {found.donor}", highlight=False)
    for note in found.notes:
        console().print(f"note: {note}", highlight=False, markup=False)
    console().print(f"plan digest {found.digest}", highlight=False)


def _role(plan: Plan, index: int, name: str) -> str:
    roles = ["base"] if name == plan.recipe.base_model else []
    if plan.roles is not None:
        roles += [
            role for role, at in (("general", plan.roles.general), ("clinical", plan.roles.clinical)) if at == index
        ]
    return ", ".join([*roles, *(["donor"] if name == plan.donor else [])])


def _described(plan: Plan) -> dict[str, Any]:
    return {
        "digest": plan.digest,
        "recipe": plan.recipe.model_dump(mode="json", exclude_defaults=True),
        "donor": plan.donor,
        "bytes_read": plan.bytes_read,
        "bytes_written": plan.bytes_written,
        "files": [name for name, _, _ in plan.layout.files],
        "notes": plan.notes,
        "dropped": plan.left_out,
        "untrained_rows": [asdict(row) for row in plan.untrained],
        "tensors": [
            {"name": job.name, "action": job.action, "dtype": job.dtype, "shape": job.shape} for job in plan.jobs
        ],
    }
