"""`suture adapt MODEL OUT --task T`: adapt a model to a task with a few examples, or read on in raw notes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from suture.data.records import Record

Prepared = tuple[Callable[[], object], str]  # what trains, and what the report calls it
Mode = Literal["lora", "full", "cpt"]


def adapt(
    model: Annotated[str, typer.Argument(help="The model's folder, or a hub id in the local cache.")] = "",
    out: Annotated[Path | None, typer.Argument(help="The folder to write; it must be new or empty.")] = None,
    task: Annotated[str, typer.Option("--task", help="A task that writes, or a task file of your own (.yaml).")] = "",
    data: Annotated[
        Path | None, typer.Option("--data", help="Records (JSON lines), a task's folder, or raw notes for cpt.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="An adapter, all weights, or reading on in raw notes.")] = "lora",
    preset: Annotated[str, typer.Option(help="Named settings; see --list-presets.")] = "",
    shots: Annotated[int | None, typer.Option(min=1, help="How many records to draw; all by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the shots and orders the training.")] = 0,
    split: Annotated[str, typer.Option(help="Which rows of a task file to learn from.")] = "train",
    instruction: Annotated[str, typer.Option(help="Without --task: the user's turn, {input} the text.")] = "{input}",
    development: Annotated[float, typer.Option(help="Share of the shots held out for early stopping.")] = 0.0,
    patience: Annotated[int | None, typer.Option(help="Evaluations without a gain before stopping.")] = None,
    evaluate_every: Annotated[int | None, typer.Option(help="Updates between two of them.")] = None,
    replay: Annotated[Path | None, typer.Option(help="General examples (JSON lines) to mix in.")] = None,
    freeze: Annotated[int | None, typer.Option("--freeze", help="Lowest decoder layers to keep as they are.")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates; else from the preset's passes.")] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences in memory at once.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches an update.")] = None,
    length: Annotated[int | None, typer.Option(help="Longest sequence in tokens.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the learning rate.")] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Rank of the adapter.")] = None,
    merged: Annotated[bool, typer.Option("--merged", help="Write the whole model, not the adapter alone.")] = False,
    work: Annotated[
        Path | None, typer.Option(help="Keeps the state of the run; OUT.training by default. Resumes a killed run.")
    ] = None,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Leave out records that repeat the test.")] = False,
    allow_leakage: Annotated[bool, typer.Option("--allow-leakage", help="Learn from them; it is recorded.")] = False,
    leak_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of a test text's 8-word runs that counts as repeating it; 0: one."),
    ] = 0.0,
    list_presets: Annotated[bool, typer.Option("--list-presets", help="Show every preset and quit.")] = False,
) -> None:
    """Fine-tune MODEL on a few records of a task and write an adapter or a checkpoint to OUT."""
    from contextlib import nullcontext
    from functools import partial

    from suture.adapt.presets import BY_MODE, resolved
    from suture.adapt.processes import joined
    from suture.adapt.settings import Settings
    from suture.checkpoint.resolve import resolve_model
    from suture.checkpoint.target import refuse_existing
    from suture.cli.console import console
    from suture.cli.progress import progress

    if list_presets:
        _show_presets()
        return
    given = {
        "steps": steps, "batch": batch, "accumulate": accumulate, "length": length, "learning_rate": learning_rate,
        "lora_rank": lora_rank, "patience": patience, "evaluate_every": evaluate_every, "frozen_layers": freeze,
        "seed": seed,
    }  # fmt: skip
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if mode != "lora":
        changes["lora_rank"] = None
    if development and patience is None:
        changes["patience"] = 3
    processes = joined()  # one, unless a launcher started several
    name = preset or BY_MODE[mode]

    def read_on(target: Path, state: Path) -> Prepared:
        from suture.adapt.train import continue_pretraining

        notes = _notes(data)
        settings = Settings(**resolved(name, max(1, sum(map(len, notes)) // 4 // (length or 1024)), changes))
        train = partial(continue_pretraining, resolve_model(model), notes, target, settings, work=state)
        return train, f"read on in {len(notes)} notes"

    def learn(target: Path, state: Path) -> Prepared:
        from suture.adapt.lessons import held_out
        from suture.adapt.train import supervised
        from suture.data.records import Record, read_items

        drawn, prompt, about = _drawn(task, data, split, instruction, shots, seed, leave_out, allow_leakage, leak_share)
        if leave_out and processes.leads:
            console().print(f"left out {about['leakage']['left_out']} records that repeat the test", highlight=False)
        learnt, watched = held_out(drawn, development)
        train = partial(
            supervised, resolve_model(model), learnt, target, Settings(**resolved(name, len(learnt), changes)),
            instruction=prompt, development=watched, replay=read_items(replay, Record) if replay else [], work=state,
            as_adapter=mode == "lora" and not merged, base_name=model,
            notes=about | {"preset": name, "shots": len(drawn), "shot_seed": seed},
        )  # fmt: skip
        return train, f"adapted on {len(learnt)} records"

    def prepare() -> tuple[Path, Prepared]:
        target = _required(model, out, task, data, mode)
        refuse_existing(target)
        state = work or target.with_name(f"{target.name}.training")
        return target, read_on(target, state) if mode == "cpt" else learn(target, state)

    with processes.company():
        target, (train, what) = processes.together(prepare)
        with progress() if processes.leads else nullcontext():
            train()
        if processes.leads:
            _report(target, what)


def _required(model: str, out: Path | None, task: str, data: Path | None, mode: Mode) -> Path:
    from suture.errors import Problem, UsageError, refuse

    problems = []
    if not model or out is None:
        problems.append(Problem("MODEL and OUT must be given.", "not both", do="suture adapt MODEL OUT --task T"))
    if not task and data is None:
        problems.append(Problem("There must be something to learn from.", "neither --task nor --data"))
    if mode == "cpt" and task:
        problems.append(Problem("Reading on takes raw notes, no task.", f"--task {task}", do="Give --data alone."))
    refuse(UsageError, problems)
    assert out is not None
    return out


def _notes(data: Path | None) -> list[str]:
    from suture.adapt.lessons import notes_of

    assert data is not None  # `_required` saw to it
    return notes_of(data)


def _drawn(
    task: str,
    data: Path | None,
    split: str,
    instruction: str,
    shots: int | None,
    seed: int,
    leave_out: bool,
    allow_leakage: bool,
    leak_share: float,
) -> tuple[list[Record], str, dict[str, Any]]:
    """Return the shots, the user's turn, and what training.json says about the draw."""
    from suture.adapt.lessons import Lesson, draw, lesson_of, without_leaks
    from suture.data.records import Record, digest_items, read_items

    if task:
        lesson = lesson_of(task, data, split=split)
    else:
        assert data is not None
        lesson = Lesson(read_items(data, Record), instruction, [])
    left = 0
    if leave_out:
        lesson, left = without_leaks(lesson, share=leak_share)
    drawn, leaks = draw(lesson, shots, seed, allow_leakage=allow_leakage, share=leak_share)
    about: dict[str, Any] = {
        "task": Path(task).name,
        "leakage": {"left_out": left, "learnt_from": leaks, "share": leak_share},
    }
    if lesson.test:
        about["test_digest"] = digest_items(lesson.test)
    return drawn, lesson.instruction, about


def _report(out: Path, what: str) -> None:
    import json

    from suture.cli.console import console

    said = json.loads((out / "training.json").read_text(encoding="utf-8"))
    line = f"{what}: loss {said['loss'][0]:.3f} to {said['loss'][-1]:.3f} in {len(said['loss'])} updates"
    if "development_loss" in said:
        best = min(loss for _, loss in said["development_loss"])
        line += f", development {said['development_loss'][0][1]:.3f} to {best:.3f}, kept update {said['best_step']}"
    console().print(f"{line}, {said['seconds']:.0f} s; wrote {out}", highlight=False, markup=False)


def _show_presets() -> None:
    from rich.table import Table

    from suture.adapt.presets import preset_rows
    from suture.cli.console import console

    table = Table(show_edge=False, pad_edge=False)
    for column in ("preset", "setting", "value", "source"):
        table.add_column(column)
    for row in preset_rows():
        table.add_row(*row)
    console().print(table)
