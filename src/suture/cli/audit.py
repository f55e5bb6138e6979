"""`suture audit LOG`: check the chain of an audit log, and list what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def audit(
    log: Annotated[Path, typer.Argument(help="The log, audit.jsonl.")],
    head: Annotated[
        str | None, typer.Option("--head", help="A line's digest kept elsewhere (audit_head): shows a cut-off end.")
    ] = None,
) -> None:
    """Check LOG: each line must carry the digest of the line before it. The first broken line is named (exit 10)."""
    from rich.table import Table

    from suture.audit import AuditLog
    from suture.cli.console import console
    from suture.errors import BadInputError, Problem

    if not log.is_file():
        raise BadInputError(Problem("The log must exist.", "no such file", str(log), "Check the path."))
    entries = AuditLog(log).verify(head=head)
    table = Table(show_edge=False, pad_edge=False)
    for column in ("line", "time", "event", "facts"):
        table.add_column(column)
    for entry in entries:
        facts = ", ".join(f"{key} {_short(value)}" for key, value in entry.facts.items())
        table.add_row(str(entry.number + 1), entry.time, entry.event, facts)
    console().print(table)
    last = entries[-1].digest if entries else "none"
    console().print(f"{len(entries)} lines, unbroken; head {last}", highlight=False, markup=False)


def _short(value: object) -> str:
    """A digest as its first 12 digits."""
    if isinstance(value, list):
        return " ".join(map(_short, value))
    text = str(value)
    return text[:12] if len(text) == 64 and " " not in text else text
