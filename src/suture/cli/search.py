"""`suture search SPACE.yaml --out DIR`: coefficients by evidence, on a development split; the test split once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def search(
    space: Annotated[Path, typer.Argument(help="The space, a YAML file; docs/search.md explains it.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the search; the same command resumes it.")],
    audit: Annotated[
        Path | None, typer.Option("--audit", help="The audit log; DIR/audit.jsonl by default. Share it in a team.")
    ] = None,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Measure the finalists on the test split.")] = True,
    reason: Annotated[
        str | None, typer.Option("--reopen", help="Why a test split is opened again; kept in the audit log.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where candidates run.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json instead of tables.")] = False,
) -> None:
    """Search SPACE for coefficients: race candidates, recommend a recipe. Run it again elsewhere to add a worker."""
    from suture.cli.progress import progress
    from suture.search.run import search as run
    from suture.search.space import load_space

    asked = load_space(space)
    with progress():
        found = run(asked, out, audit=audit, test=test, reason=reason, device=device)
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=1, allow_nan=False))
    else:
        _show(found, out)


def _show(found: dict[str, Any], out: Path) -> None:
    from suture.cli.console import console

    for table in (_candidates(found), _front(found), _sensitivity(found), _tested(found)):
        if table is not None:
            console().print(table)
            console().print()
    console().print(found["recommended"]["reason"], highlight=False, markup=False)
    for name in ("recommended.yaml", "result.json"):
        console().print(f"wrote {out / name}", highlight=False, markup=False)


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column == "candidate")
    return table


def _candidates(found: dict[str, Any]) -> Any:
    from suture.search.candidates import describe

    names = [objective["name"] for objective in found["objectives"]]
    share = f"{found['share_of_items_read']:.0%} of all items read"
    table = _table(f"Candidates, {share}", "candidate", "behind", *names, "items", "state")
    order = ["left", "set aside", "ruled out", "discarded", "failed"]
    ranked = sorted(
        found["candidates"],
        key=lambda one: (order.index(one["state"]), -one.get("look", 0), -one.get("against_leader", 0)),
    )
    for one in ranked:
        if one["state"] in ("failed", "discarded"):
            why = "not a number" if one["state"] == "failed" else f"discarded: {one['distance']:.3g} times apart"
            table.add_row(describe(one["point"]), "", *["" for _ in names], "", why)
            continue
        state = f"ruled out by {one['by']}" if one["by"] else one["state"]
        means = [f"{mean:.4g}" for mean in one["means"]]
        table.add_row(describe(one["point"]), f"{one['against_leader']:+.3f}", *means, str(sum(one["read"])), state)
    return table


def _front(found: dict[str, Any]) -> Any:
    from suture.search.candidates import describe

    names = [objective["name"] for objective in found["objectives"]]
    table = _table("Front of those left, means with 95 % intervals", "candidate", *names)
    for one in found["front"]:
        table.add_row(describe(one["point"]), *[_with_interval(row["mean"], row) for row in one["objectives"]])
    return table


def _sensitivity(found: dict[str, Any]) -> Any:
    rows = [row for row in found["sensitivity"] if row["low"] is not None]
    if not rows:
        return None
    table = _table("What is left of each dimension", "dimension", "from", "to", "share of what was tried", "optimum")
    words = {True: "flat", False: "narrow", None: "not claimed: some were set aside"}
    for row in rows:
        shape = words[row["flat"]]
        table.add_row(row["dimension"], f"{row['low']:.4g}", f"{row['high']:.4g}", f"{row['share']:.0%}", shape)
    return table


def _tested(found: dict[str, Any]) -> Any:
    if found["test"] is None:
        return None
    title = f"Test split, opening {found['test']['opening']}: the recommended candidate minus each parent"
    table = _table(title, "parent", "objective", "difference, 95 % interval")
    for row in found["test"]["recommended_against_parents"]:
        table.add_row(row["parent"], row["objective"], _with_interval(row["difference"], row))
    return table


def _with_interval(value: float, row: dict[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return f"{value:.4g} ({row['method']})"
    return f"{value:.4g} [{row['low']:.4g}, {row['high']:.4g}]"
