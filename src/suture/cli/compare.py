"""`suture compare general=RESULTS merged=RESULTS --against general`: paired by item, with intervals and verdicts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from suture.compare.verdicts import Comparison, Contrast, Margin

COMMAND_LINE = "stated on the command line, without a reason"


def compare(
    results: Annotated[list[str], typer.Argument(help="label=FOLDER, the folder that `suture eval` named.")],
    against: Annotated[str, typer.Option("--against", help="The parents' labels, with a comma: general,clinical.")],
    margin: Annotated[
        list[str] | None, typer.Option("--margin", help="task.metric=VALUE[,REASON]: the largest tolerated loss.")
    ] = None,
    primary: Annotated[
        list[str] | None, typer.Option("--primary", help="task.metric of the family that Holm corrects.")
    ] = None,
    study: Annotated[Path | None, typer.Option("--study", help="A study file, for its margins.")] = None,
    floors: Annotated[
        Path | None, typer.Option("--floors", help="The folder that holds floor-<kind>; else beside the results.")
    ] = None,
    replicate: Annotated[
        str | None, typer.Option("--replicate", help="label=FOLDER: the same weights evaluated again (A/A).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of bootstrap and permutation.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Write comparison.json here.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every metric in the tables; of many tasks they show the primary ones.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON instead of tables.")] = False,
) -> None:
    """Compare models with their parents on the items that they answered; refuses different items or prompts."""
    from suture.cli.progress import progress
    from suture.compare.compare import compare as compare_results
    from suture.compare.pairing import result_folder
    from suture.compare.requests import split_key
    from suture.compare.verdicts import write_comparison

    folders = {label: result_folder(folder) for label, folder in _folders(results).items()}
    with progress():
        found = compare_results(
            folders,
            against=[label.strip() for label in against.split(",")],
            floors=_floors(floors, folders),
            margins=_margins(study, margin or []),
            primary=[split_key(entry) for entry in primary] if primary else None,
            seed=seed,
        )
        if replicate is not None:
            found = replace(found, replicates=_replicates(replicate, folders, seed))
    if out is not None:
        write_comparison(out, found)
    if as_json:
        _print_json(found)
    else:
        _print_tables(found, every=every)


def _print_json(found: Comparison) -> None:
    import json

    from suture.compare.verdicts import as_json

    typer.echo(json.dumps(as_json(found), indent=1, sort_keys=True, allow_nan=False))


def _print_tables(found: Comparison, *, every: bool) -> None:
    from suture.cli.console import console
    from suture.report.bare import bare_report
    from suture.report.terminal import contrast_tables

    console().print(contrast_tables(bare_report("Comparison", found), every=every))


def _margins(study: Path | None, entries: list[str]) -> list[Margin]:
    """Margins of the study, then those of the command line, which replace the study's on the same metric."""
    from suture.study.schema import load_study

    stated = [entry.margin() for entry in load_study(study).margins] if study else []
    said = [_margin(entry) for entry in entries]
    keys = {(margin.task, margin.metric) for margin in said}
    return [*(margin for margin in stated if (margin.task, margin.metric) not in keys), *said]


def _margin(entry: str) -> Margin:
    from suture.compare.requests import split_key
    from suture.compare.verdicts import Margin
    from suture.errors import Problem, UsageError
    from suture.report.bare import axis_of

    name, _, rest = entry.partition("=")
    value, _, reason = rest.partition(",")
    task, metric = split_key(name.strip())
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise UsageError(Problem("A margin must be given as task.metric=VALUE[,REASON].", f"'{entry}'"))
    return Margin(axis_of(task), task, metric, number, reason.strip() or COMMAND_LINE)


def _floors(folder: Path | None, results: dict[str, Path]) -> dict[str, Path]:
    """Floors in `folder`, or those that stand beside the models' results, the first of each kind."""
    from suture.errors import BadInputError, Problem

    places = [folder] if folder else list(dict.fromkeys(path.absolute().parent for path in results.values()))
    found: dict[str, Path] = {}
    for place in places:
        for path in sorted(place.glob("floor-*")):
            found.setdefault(path.name.removeprefix("floor-"), path)
    if folder and not found:
        raise BadInputError(Problem("The folder of floors must hold floor-<kind>.", "none", str(folder)))
    return found


def _replicates(entry: str, results: dict[str, Path], seed: int) -> tuple[Contrast, ...]:
    from suture.compare.pairing import result_folder
    from suture.compare.replicate import contrast_replicates
    from suture.errors import Problem, UsageError

    ((label, folder),) = _folders([entry]).items()
    if label not in results:
        must = "A replicate must carry the label of a model that is compared."
        raise UsageError(Problem(must, f"'{label}'", "--replicate", f"Name one of {sorted(results)}."))
    return contrast_replicates(results[label], result_folder(folder), against=label, seed=seed)


def _folders(entries: list[str]) -> dict[str, Path]:
    from suture.errors import Problem, UsageError, refuse

    parted = [entry.partition("=") for entry in entries]
    must = "Results must be given as label=FOLDER, each label once."
    labels = [label for label, _, _ in parted]
    refuse(
        UsageError,
        [
            Problem(must, f"'{entry}'")
            for entry, (label, _, folder) in zip(entries, parted, strict=True)
            if not label or not folder or labels.count(label) > 1
        ],
    )
    return {label: Path(folder) for label, _, folder in parted}
