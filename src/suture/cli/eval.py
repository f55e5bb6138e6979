"""`suture eval MODEL --suite S --task T`: evaluate a model and keep every item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from suture.errors import Problem
    from suture.evaluate.further import Further
    from suture.evaluate.workload import Workload


class Backend(StrEnum):
    """Who runs the model."""

    hf = "hf"
    vllm = "vllm"
    openai = "openai"


def evaluate(
    model: Annotated[str, typer.Argument(help="The model's folder, or a hub id in the local cache.")],
    suite: Annotated[
        list[str] | None, typer.Option("--suite", help="instruction, medical, clinical, general or all.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="A task, task=FILE with items of one's own, or FILE.yaml.")
    ] = None,
    results: Annotated[Path, typer.Option("--out", help="Where items are kept.")] = Path("results"),
    limit: Annotated[int | None, typer.Option(min=1, help="The first items of each task only.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The folder below which the data sets lie.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Answers written at a time.")] = 32,
    backend: Annotated[Backend, typer.Option(help="Who runs the model.")] = Backend.hf,
    url: Annotated[str, typer.Option(help="openai: the server's address, up to /v1.")] = "",
    served: Annotated[str, typer.Option("--served-model", help="openai: the name under which it is served.")] = "",
    fingerprint: Annotated[
        bool, typer.Option(help="openai: run the folder's weights once to confirm that the server has them.")
    ] = True,
    device: Annotated[str, typer.Option(help="hf: cpu, cuda, cuda:1, mps.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="hf, vllm: float32, bfloat16, float16.")] = "float32",
    plain: Annotated[bool, typer.Option("--plain", help="Ask a model without a chat template all the same.")] = False,
    encoder: Annotated[Path | None, typer.Option("--encoder", help="The folder of a BERTScore encoder.")] = None,
    encoder_layer: Annotated[int | None, typer.Option("--encoder-layer", min=1, help="The layer compared.")] = None,
    composites: Annotated[Path | None, typer.Option("--composites", help="A YAML file of your composites.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse to start where a suite's data are missing.")] = False,
) -> None:
    """Evaluate MODEL and print the mean of every metric; what is finished already is not computed again."""
    from suture.checkpoint.digest import weights_digest
    from suture.checkpoint.resolve import resolve_model
    from suture.cli.console import console
    from suture.cli.progress import progress
    from suture.evaluate.further import plan_further
    from suture.evaluate.run import evaluate_model
    from suture.study.evaluation import refuse_unready, want

    wanted = want(suite or [], task or [], data)
    further = plan_further(encoder, encoder_layer, composites)
    folder = resolve_model(model)
    refuse_unready(wanted, folder, backend=backend, plain=plain, strict=strict)
    work, missing = wanted.work, wanted.missing
    _say_missing(missing)
    _say_unscored(work, further)
    if backend is Backend.hf:
        digest = weights_digest(folder)
        answerer, about, reuse = None, None, True
    else:
        from suture.evaluate.backends import connect

        found = connect(backend, folder, work, url=url, served=served, fingerprint=fingerprint, dtype=dtype)
        answerer, about, digest, reuse = found.answerer, found.about, found.digest, found.reuse
    with progress():
        floors = _floors(work, data, results, limit, further)
        evaluate_model(
            folder,
            work,
            results,
            digest=digest,
            batch_size=batch_size,
            limit=limit,
            device=device,
            dtype=dtype,
            answerer=answerer,
            about=about,
            reuse=reuse,
            further=further,
        )
    place = results / digest[:12]
    _print(model, place, [load.task.name for load in work], floors)
    _say_repaired(place, [load.task.name for load in work])
    if any(load.task.kind == "canary" for load in work):
        _say_bound(place)
    if backend is Backend.openai and about is not None:
        said = {"confirmed": "confirmed by their log-probabilities", "asserted": "asserted, not shown: not reused"}
        console().print(f"the server's weights: {said[about['weights evidence']]}", highlight=False, markup=False)
    console().print(f"items in {place}", highlight=False, markup=False)
    if missing:
        console().print(f"not evaluated: {', '.join(missing)}", highlight=False, markup=False)


def _say_bound(place: Path) -> None:
    """Say what the probe of memorisation excludes: where no secret was extracted, the rule of three."""
    from suture.cli.console import console
    from suture.evaluate.items import read_rows
    from suture.evaluate.memorisation import rule_of_three
    from suture.tasks.canaries import TASK

    rows = read_rows(place / TASK.name)
    hits = sum(row.scores["extracted"] == 1 for row in rows)
    text = f"secrets extracted: {hits} of {len(rows)}"
    if not hits:
        text += f"; the true rate is below {100 * rule_of_three(len(rows)):.1f} % with 95 % confidence (rule of three)"
    console().print(text, highlight=False, markup=False)


def _say_repaired(place: Path, tasks: Sequence[str]) -> None:
    """Say of each task that was judged as published and repaired where the two differ."""
    from suture.cli.console import console
    from suture.evaluate.items import read_rows
    from suture.evaluate.repaired import difference
    from suture.report.labels import repair_line

    for name in tasks:
        found = difference(read_rows(place / name))
        if found is not None:
            console().print(repair_line(name, found), highlight=False, markup=False)


def _say_missing(missing: Mapping[str, Sequence[Problem]]) -> None:
    """Say on stderr, before anything is computed, what of the suites will not be evaluated and why."""
    from rich.console import Console

    if missing:
        shown = Console(stderr=True, soft_wrap=True)
        shown.print("Not evaluated, for what is missing:", highlight=False, markup=False)
        for problem in dict.fromkeys(problem for found in missing.values() for problem in found):
            shown.print(f"  {problem}", highlight=False, markup=False)


def _say_unscored(work: Sequence[Workload], further: Further) -> None:
    """Say on stderr, before anything is computed, which further scores of written answers lack what, and what to do."""
    from rich.console import Console

    from suture.evaluate.further import is_written

    lacking = further.lacking()
    if lacking and any(map(is_written, work)):
        shown = Console(stderr=True, soft_wrap=True)
        shown.print("Written answers are scored without, for what is missing:", highlight=False, markup=False)
        for name, needs in lacking.items():
            shown.print(f"  {name}: {needs}", highlight=False, markup=False)


def _floors(
    work: Sequence[Workload], data: Path | None, results: Path, limit: int | None, further: Further
) -> dict[str, Path]:
    """Score the trivial answers to every task that has them; return floor -> folder of results."""
    from suture.evaluate.floors import evaluate_floors
    from suture.evaluate.suites import training

    found: dict[str, Path] = {}
    for load in work:
        taught = training(load.task, data)
        for label, folder in evaluate_floors(load, taught, results, limit=limit, further=further).items():
            found[label] = folder.parent
    return found


def _print(model: str, place: Path, asked: Sequence[str], floors: Mapping[str, Path]) -> None:
    from rich.table import Table

    from suture.cli.console import console
    from suture.compare.axes import every_floor, orientation, score_table
    from suture.compare.pairing import binary_metrics, metrics_of
    from suture.evaluate.items import read_rows
    from suture.report.labels import measure, metric_style, value_text, with_interval

    table = Table(show_edge=False, pad_edge=False)
    for column in ("measure", "mean, 95 % interval", "best floor", "unit", "n"):
        table.add_column(column)
    tables = {name: {row.item_id: row for row in read_rows(place / name)} for name in sorted(asked)}
    binary = binary_metrics({model: tables})
    best: dict[tuple[str, str], Any] = {}
    for score in every_floor({label: folder for label, folder in floors.items() if folder.is_dir()}, binary=binary):
        held = best.get((score.task, score.metric))
        if held is None or orientation(score.metric) * (score.value - held.value) > 0:
            best[score.task, score.metric] = score
    for name, items in tables.items():
        for metric in metrics_of(items):
            score = score_table(model, name, items, metric, binary=(name, metric) in binary)
            floor = best.get((name, metric))
            beside = f"{value_text(metric, floor.value)} {floor.model}" if floor else ""
            shown = with_interval(metric, score.value, score.interval)
            table.add_row(measure(name, metric), shown, beside, metric_style(metric).unit, str(score.n))
    console().print(table)
