"""`suture merge RECIPE OUT`: merge as the recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suture.cli.recipe import COMPAT, RANDOM_SEED, SHARD_SIZE, read

ONLINE = typer.Option("--online", help="Fetch hub ids that are not in the local cache.")
ALLOWED = ("nonfinite", "overflow", "underflow")


def merge(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; new or empty unless --overwrite.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one a core by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or a device of torch such as cuda.")] = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier merge in OUT, at once.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Give up the unfinished work of another recipe.")] = False,
    no_digests: Annotated[bool, typer.Option("--no-digests", help="Leave digests out of the manifest.")] = False,
    no_sync: Annotated[
        bool, typer.Option("--no-sync", help="Leave fsync out; a power cut may then spoil OUT.")
    ] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither use nor keep Gram matrices of parents.")
    ] = False,
    allow: Annotated[list[str] | None, typer.Option(help="Let pass: nonfinite, overflow, underflow.")] = None,
    online: Annotated[bool, ONLINE] = False,
    compat: Annotated[bool, COMPAT] = False,
    shard_size: Annotated[str | None, SHARD_SIZE] = None,
    seed: Annotated[int | None, RANDOM_SEED] = None,
) -> None:
    """Merge models as RECIPE says into the folder OUT."""
    from suture.checkpoint.writer import refuse_existing
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.errors import Problem, UsageError, refuse
    from suture.merge import execute
    from suture.merge.backend import choose_backend
    from suture.merge.gram_cache import cache_folder
    from suture.plan import make_plan

    must = f"What is allowed must be one of {', '.join(ALLOWED)}."
    refuse(UsageError, [Problem(must, f'"{word}"', "--allow") for word in allow or () if word not in ALLOWED])
    if not overwrite:
        refuse_existing(out)
    plan = make_plan(read(recipe, compat=compat, shard_size=shard_size, seed=seed), online=online)
    for note in plan.notes:
        console().print(f"note: {note}", highlight=False, markup=False)
    with progress():
        manifest = execute(
            plan,
            out,
            workers=workers,
            backend=choose_backend(device),
            digests=not no_digests,
            sync=not no_sync,
            overwrite=overwrite,
            restart=restart,
            allow=frozenset([*(allow or ()), *(("underflow",) if compat else ())]),  # as that program does
            cache=None if no_cache else cache_folder(),
        )
    found = manifest.realised
    if found is not None and found.coefficient is not None and found.nominal is not None:
        console().print(
            f"coefficient, general to clinical: nominal {found.nominal:.4f}, realised {found.coefficient:.4f}"
        )
        if found.deviates:
            advice = "rounding moved the coefficient by more than 5 %; choose rounding: stochastic or a wider out_dtype"
            console().print(f"[yellow]warning:[/] {advice}")
    if manifest.arc_tensors is not None:
        console().print(f"tensors that took the arc: {manifest.arc_tensors} of {len(manifest.tensors)}")
    if manifest.weights_digest is not None:
        console().print(f"weights digest {manifest.weights_digest}", highlight=False)
    console().print(f"wrote {out} in {manifest.seconds:.1f} s", highlight=False, markup=False)
