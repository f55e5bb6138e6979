"""`suture study run|plan|status|clean`: one YAML file, from its models to its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suture.cli.costs import GPU, device_of, show_absent, show_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from suture.study.finished import Finished

app = typer.Typer(help="Run a study: parents, merges, adaptation, evaluation, report.", no_args_is_help=True)

StudyFile = Annotated[Path, typer.Argument(help="The study, a YAML file.")]
Folder = Annotated[Path, typer.Argument(help="The folder of a study that was run.")]
Out = Annotated[Path | None, typer.Option("--out", help="Where to write; runs/<name> by default.")]
Data = Annotated[str | None, typer.Option("--data", help="The folder Main-Dataset of MTS-Dialog.")]
AncestorOption = Annotated[str | None, typer.Option("--ancestor", help="Another ancestor: a folder or hub id.")]
Full = Annotated[bool, typer.Option("--full", help="The full protocol: all items, long answers.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Worker processes, one core each.")]


@app.command()
def run(
    study: StudyFile,
    out: Out = None,
    data: Data = None,
    ancestor: AncestorOption = None,
    full: Full = False,
    workers: Workers = 2,
    text: Annotated[
        bool | None,
        typer.Option("--with-text/--no-text", help="Texts in report.html; only synthetic ones by default."),
    ] = None,
) -> None:
    """Run STUDY: what is finished already is not computed again. Writes report.html and comparison.json."""
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.study.schema import load_study
    from suture.study.session import plan_study, run_study
    from suture.study.store import Store

    asked = load_study(study, full=full, data=data, ancestor=ancestor)
    store = Store(out or Path("runs") / asked.name)
    with store.locked():
        with progress():
            planned = plan_study(asked, store, workers=workers)
        _show_plan(planned)
        with progress():
            done = run_study(planned, workers=workers)
        _show(done, text=text)
    console().print(f"models in {store.root / 'models'}", highlight=False)


@app.command()
def plan(
    study: StudyFile,
    out: Out = None,
    data: Data = None,
    ancestor: AncestorOption = None,
    full: Full = False,
    workers: Workers = 2,
    gpu: Annotated[str, GPU] = "",
) -> None:
    """Show what STUDY will run, what each axis can show at its n, and what it costs; no model is run.

    Texts and their floors are computed. Where models or data are not there, the plan is drawn without them and says
    what is missing.
    """
    from suture.cli.progress import progress
    from suture.study.schema import load_study
    from suture.study.session import outline, plan_study
    from suture.study.store import Store

    device = device_of(gpu)
    asked = load_study(study, full=full, data=data, ancestor=ancestor)
    store = Store(out or Path("runs") / asked.name)
    done, absent = outline(asked, store)
    if not absent:
        with progress():
            done = plan_study(asked, store, workers=workers)
    _show_plan(done)
    show_cost(done, workers, device)
    show_absent(absent)


@app.command()
def status(folder: Folder) -> None:
    """List the steps of the study in FOLDER: done (time, memory), running, failed and why, waiting for what."""
    from collections import Counter

    from rich.filesize import decimal
    from rich.table import Table

    from suture.cli.console import console
    from suture.study.session import open_study
    from suture.study.status import standings
    from suture.study.store import Store

    store = Store(folder)
    found = list(standings(open_study(store)))
    table = Table(show_edge=False, pad_edge=False)
    for column in ("step", "state", "seconds", "peak memory", "folder, or what it waits for"):
        table.add_column(column, justify="right" if column in ("seconds", "peak memory") else "left")
    for one in found:
        seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
        memory = "" if one.peak_memory is None else decimal(one.peak_memory)
        table.add_row(one.step, one.state, seconds, memory, one.folder or _awaited(one.told))
    console().print(table)
    for problem in [problem for one in found if one.state == "failed" for problem in one.told]:
        console().print(f"failed: {problem}", highlight=False, markup=False)
    if holder := store.holder():
        console().print(f"held by {holder}", highlight=False, markup=False)
    counts = Counter(one.state for one in found)
    others = "".join(
        f", {counts[state]} {state}" for state in ("running", "failed", "ready", "waiting") if counts[state]
    )
    console().print(f"{counts['done']} of {len(found)} steps are done{others}")


def _awaited(told: Sequence[str]) -> str:
    return ", ".join(told[:2]) + (f" and {len(told) - 2} more" if len(told) > 2 else "")


@app.command()
def clean(
    folder: Folder,
    trainings: Annotated[
        bool, typer.Option("--trainings", help="Also the state of trainings that a run would go on with.")
    ] = False,
) -> None:
    """Remove the steps and results in FOLDER that its study does not use any more, and what stopped trainings left."""
    from suture.cli.console import console
    from suture.study.clean import clean_trainings
    from suture.study.kinds import kinds
    from suture.study.session import open_study
    from suture.study.store import Store

    store = Store(folder)
    graph = open_study(store).built.graph
    with store.locked():
        removed = store.clean(graph, kinds())
        states, found = clean_trainings(store, graph, kinds(), everything=trainings)
    for path in [*removed, *states]:
        console().print(f"removed {path}", highlight=False, markup=False)
    console().print(f"{len(removed) + len(states)} folders removed")
    for paths, why in (
        (found.resumable, "the next run goes on with them"),
        (found.undecided, "their steps' inputs are not there yet"),
    ):
        if paths and not trainings:
            told = f"{len(paths)} stopped trainings kept, {why}; --trainings removes them"
            console().print(told, highlight=False, markup=False)


def _show_plan(done: Finished) -> None:
    from rich.table import Table

    from suture.cli.console import console
    from suture.report.tables import planning_table
    from suture.report.terminal import draw
    from suture.study.finished import planned

    table = Table(title=done.study.title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in ("model", "role", "made by", "answers"):
        table.add_column(column)
    for entry in done.built.entries:
        made = entry.method + (f" of {entry.start}" if entry.start else "")
        table.add_row(entry.label, entry.role, made, ", ".join(entry.tasks))
    shown: list[Any] = [table, "", draw(planning_table(planned(done)))]
    for part in shown:
        console().print(part)
    console().print(f"{len(done.built.graph)} steps in {done.store.root}", highlight=False, markup=False)


def _show(done: Finished, *, text: bool | None) -> None:
    from suture.cli.console import console
    from suture.report.terminal import comparison_table
    from suture.study.finished import publish, reported

    data = reported(done)
    console().print(comparison_table(data))
    for note in data.notes:
        console().print(f"- {note}", highlight=False, markup=False)
    for path in publish(done, data, text=data.synthetic if text is None else text):
        console().print(f"wrote {path}", highlight=False, markup=False)
