"""`suture start GENERAL CLINICAL --task my.yaml`: two models and a task of one's own, to a study that can be run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suture.cli.costs import GPU, device_of, show_absent, show_cost
from suture.cli.merge import ONLINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suture.study.start import Finding


def start(
    general: Annotated[str, typer.Argument(help="The general instruct model: a folder or a hub id.")],
    clinical: Annotated[str, typer.Argument(help="The clinical model.")],
    task: Annotated[Path, typer.Option("--task", help="A task file of your own (.yaml): your notes.")],
    ancestor: Annotated[str | None, typer.Option("--ancestor", help="The base that both come from.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Your folder of data sets, for medical questions.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The study file; <task>-study.yaml by default.")] = None,
    gpu: Annotated[str, GPU] = "",
    online: Annotated[bool, ONLINE] = False,
) -> None:
    """Check that two models can be merged, write a study of them on your own task, and say what it costs."""
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.errors import OutputExistsError, Problem
    from suture.study.schema import load_study
    from suture.study.session import outline
    from suture.study.start import draft, findings, look_at_pair, look_at_task
    from suture.study.store import Store

    device = device_of(gpu)
    taught = look_at_task(task)
    target = out or Path(f"{taught.own.name}-study.yaml")
    if target.exists():
        got, do = "one that is there", "Name another with --out, or remove it."
        raise OutputExistsError(Problem("The study file must be new.", got, str(target), do))
    with progress():
        pair = look_at_pair(general, clinical, ancestor, online=online)
    _show(findings(pair, taught))
    target.write_text(draft(pair, taught, target, data), encoding="utf-8")
    study = load_study(target)
    done, absent = outline(study, Store(Path("runs") / study.name))
    show_cost(done, 2, device)
    show_absent(absent)
    console().print(f"\nwrote {target}. Read it, state your margins, then:", highlight=False)
    for verb, what in (("plan", "what it can show"), ("run", "can be stopped and run again")):
        console().print(f"  suture study {verb} {target}    # {what}", highlight=False, markup=False)


def _show(found: Iterable[Finding]) -> None:
    from rich.table import Table

    from suture.cli.console import console

    table = Table(show_edge=False, pad_edge=False)
    for column in ("", "looked at", "found"):
        table.add_column(column)
    for one in found:
        table.add_row({True: "✓", False: "!", None: ""}[one.good], one.what, one.found)
    console().print(table)
