"""`suture data list|check|prepare`: which data sets there are, what of them is here, and their canonical form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from suture.data.source import Found, Source

app = typer.Typer(no_args_is_help=True, help="Data sets: what each needs, what is here, its canonical form.")
DATA = typer.Option("--data", help="The folder below which the official files lie.")
NAMES = typer.Argument(help="Data sets; all that are there by default.")


@app.command(name="list")
def list_sets() -> None:
    """List the data sets with their licence, the credential that they need, and where they are published."""
    from rich.table import Table

    from suture.cli.console import console
    from suture.data.catalog import SOURCES

    table = Table(show_edge=False, pad_edge=False)
    for column in ("name", "what", "licence", "credential"):
        table.add_column(column, overflow="fold")
    for source in SOURCES.values():
        table.add_row(source.name, f"{source.title}\n{source.url}", source.licence, source.credential or "none")
    console().print(table)


@app.command()
def check(data: Annotated[Path, DATA], names: Annotated[list[str] | None, NAMES] = None) -> None:
    """Read what is below the folder and say what was found, what is missing, and what leaks into what."""
    from rich.table import Table

    from suture.cli.console import console
    from suture.data.catalog import SOURCES, get_source
    from suture.data.prepare import is_prepared, load, read_index
    from suture.data.source import find
    from suture.errors import BadInputError, Problem, refuse

    if not data.is_dir():
        raise BadInputError(Problem("The data folder must exist.", "no such folder", str(data), "Check the path."))
    table = Table(show_edge=False, pad_edge=False)
    for column in ("name", "split", "items", "digest", "licence, credential, what is missing"):
        table.add_column(column, overflow="fold")
    problems: list[Problem] = []
    prepared = read_index(data) if is_prepared(data) else None
    for name in names or list(SOURCES):
        source = get_source(name)
        if prepared is not None:
            splits, missing = list(prepared.get(name, {}).get("splits", {})), "not prepared"
        else:
            found = find(source, data)
            splits, missing = found.splits(), f"missing: {', '.join(found.lacks(source.test))}"
        if source.test not in splits:
            table.add_row(name, "", "", "", f"{_terms(source)}; {missing}")
        for split in splits:
            try:
                loaded = load(name, data, split)
            except BadInputError as error:
                problems += error.problems
                table.add_row(name, split, "refused", "", "see below")
                continue
            table.add_row(name, split, str(len(loaded.items)), loaded.digest[:12], _terms(source))
    console().print(table)
    if prepared is None and (note := _leak(data)):
        console().print(note, highlight=False, markup=False)
    refuse(BadInputError, problems)


@app.command()
def prepare(
    out: Annotated[Path, typer.Argument(help="The folder to write; data sets that it holds already stay.")],
    names: Annotated[list[str] | None, NAMES] = None,
    data: Annotated[Path | None, DATA] = None,
    online: Annotated[bool, typer.Option("--online", help="Fetch the named data sets from the hub.")] = False,
) -> None:
    """Write data sets in canonical form, as JSON lines with digests, to OUT."""
    from suture.cli.console import console
    from suture.data.catalog import get_source
    from suture.data.prepare import prepare as write
    from suture.data.prepare import prepare_files, survey
    from suture.errors import Problem, UsageError

    if online:
        if not names:
            raise UsageError(Problem("--online needs the names of data sets.", "none", do="See suture data list."))
        from suture.data.hub import fetch

        written: dict[str, Any] = {}
        for name in names:
            source = get_source(name)
            written |= prepare_files(source, fetch(source), out)
    elif data is None:
        raise UsageError(Problem("A source must be given.", "neither --data nor --online", do="Give one of them."))
    else:
        there = [name for name, found in survey(data).items() if _complete(found)]
        if not there and not names:
            raise UsageError(Problem("The folder must hold a data set.", "none that is known", str(data)))
        written = write(names or there, data, out)
    for entry in written.values():
        for split, part in entry["splits"].items():
            credential = f"; {entry['credential']}" if entry["credential"] else ""
            text = f"{part['file']}: {split}, {part['items']} items, {part['digest'][:12]}; {entry['licence']}"
            console().print(text + credential, highlight=False, markup=False, soft_wrap=True)
    console().print(f"wrote {len(written)} data sets to {out}", highlight=False, markup=False)


@app.command()
def canaries(
    records: Annotated[Path, typer.Argument(help="Few-shot records, JSON lines, that stay as they are.")],
    out: Annotated[Path, typer.Argument(help="The file to write: the records and the secrets among them.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many secrets.")] = 16,
    repeats: Annotated[int, typer.Option(min=1, help="How often each one stands in the file.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Draws the secrets and their places.")] = 0,
) -> None:
    """Plant made-up secrets in few-shot data, to measure after tuning whether a model gives them away."""
    from suture.cli.console import console
    from suture.data.canaries import make, plant
    from suture.data.records import Record, read_items, write_items
    from suture.errors import OutputExistsError, Problem

    kept = out.with_name(f"{out.name.removesuffix('.jsonl')}.canaries.jsonl")
    for path in (out, kept):
        if path.exists():
            raise OutputExistsError(Problem("The output must be new.", "a file", str(path), "Choose another name."))
    secrets = make(n, seed)
    write_items(out, plant(read_items(records, Record), secrets, repeats=repeats, seed=seed))
    write_items(kept, secrets)
    console().print(f"wrote {out}, and {n} secrets to {kept}", highlight=False, markup=False)


def _complete(found: Found) -> bool:
    return found.source.test in found.splits()


def _terms(source: Source) -> str:
    return f"{source.licence}; {source.credential}" if source.credential else source.licence


def _leak(data: Path) -> str:
    """Say how much of MTS-Dialog's references stands in MTSamples, where both are there."""
    from suture.data.catalog import get_source
    from suture.data.leakage import share_verbatim
    from suture.data.prepare import load
    from suture.data.readers.mtsamples import distinct
    from suture.data.source import find
    from suture.data.tables import read_rows, tidy

    notes = find(get_source("mtsamples_course"), data)
    if not (notes.files and _complete(find(get_source("mts_dialog"), data))):
        return ""
    rows = read_rows(notes.files["table"], ("transcription",))
    corpus = distinct(rows)
    targets = [record.target for record in load("mts_dialog", data).items if hasattr(record, "target")]
    hits, total = share_verbatim(targets, [tidy(row["transcription"]) for row in corpus])
    return (
        f"MTSamples: {len(corpus)} distinct of {len(rows)} transcriptions. Leakage: {hits} of the {total} reference "
        "sections of MTS-Dialog's test over 80 characters stand in MTSamples word for word; a model tuned on MTSamples "
        "has seen these answers."
    )
