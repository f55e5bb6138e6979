"""What a study costs, as tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from suture.errors import Problem
    from suture.study.finished import Finished
    from suture.study.work import Device

SHOWN = 60.0  # seconds from which on a kind of step has a line of its own
GPU: Any = typer.Option("--gpu", help="Hours on an accelerator too: a100, h100, l40s, rtx4090.")


def device_of(name: str) -> Device | None:
    """Return the accelerator of that name, None for none. Raises UsageError for an unknown one."""
    from suture.errors import Problem, UsageError
    from suture.study.work import DEVICES

    if name and name not in DEVICES:
        raise UsageError(Problem(f"--gpu must be one of {', '.join(DEVICES)}.", name))
    return DEVICES[name] if name else None


def show_cost(done: Finished, workers: int, device: Device | None) -> None:
    """Print what is left to compute and to store, by kind of step, on this machine's cores and on `device`."""
    from rich.filesize import decimal
    from rich.table import Table

    from suture.cli.console import console
    from suture.study.cost import accelerator_hours, costs, free_disk
    from suture.study.kinds import kinds
    from suture.study.speed import core_speed

    found = done.store.finished(done.built.graph, kinds())
    rows = costs(done.study, done.built.graph, found, speed=core_speed())
    if not rows:
        console().print("Nothing is left to compute.")
        return
    taken = accelerator_hours(done.study, rows, device) if device else {}
    table = Table(title="\nWhat it costs", title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in (
        "step",
        "of them to do",
        "core hours",
        *([f"{device.name} hours"] if device else []),
        "disk",
        "rate",
    ):
        table.add_column(column, justify="left" if column in ("step", "rate") else "right")
    for row in [row for row in rows if row.seconds >= SHOWN or row.disk]:
        kept = decimal(round(row.disk)) if row.disk else ""
        rate = "measured here" if row.measured else "guessed"
        on_device = [_hours(taken[row.kind]) if row.kind in taken else ""] if device else []
        table.add_row(row.kind, f"{row.left} of {row.steps}", _hours(row.seconds / 3600), *on_device, kept, rate)
    console().print(table)
    whole, disk = sum(row.seconds for row in rows) / 3600, sum(row.disk for row in rows)
    total = f"About {_hours(whole / workers)} hours with {workers} workers"
    if device:
        total = f"About {_hours(sum(taken.values()))} hours on one {device.name}, training and answers alone"
    total += f"; {decimal(round(disk))} of disk ({decimal(free_disk(done.store.root))} free)"
    console().print(f"{total}. Right within a factor of two.", highlight=False)


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def show_absent(absent: Sequence[Problem]) -> None:
    """Print what must be there before a study can run."""
    from suture.cli.console import console

    if absent:
        console().print("\nMissing before it can run", style="bold")
        for problem in absent:
            console().print(f"- {problem}", highlight=False, markup=False)
