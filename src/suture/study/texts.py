"""Steps that write texts: the synthetic clinic, instructions, MTS-Dialog, IFEval prompts, the records of drift.

A step's folder holds `<task>.jsonl`, the items of a task's test, or `<lesson>.train.jsonl`, the records to learn from.
Training and test texts are made by separate steps, so that a longer test trains nothing anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from blake3 import blake3

from suture.data.records import Choice, ContrastPair, Item, Record, read_items, write_items
from suture.errors import Problem, UsageError
from suture.study.graph import Context
from suture.study.tasks import LESSON, TEST, keep_task, kept_task
from suture.tasks.canaries import TASK as CANARIES
from suture.tasks.registry import get_task, is_suite_task

if TYPE_CHECKING:
    from suture.adapt.lessons import Lesson

T = TypeVar("T")
KINDS: Mapping[str, Any] = {"choice": Choice, "contrast": ContrastPair}
BUILT_IN_SEED, BUILT_IN_ENCOUNTERS = 1, 64
FLOOR = 200  # training records that a floor may answer with


def clinic(context: Context) -> str:
    """Write the training or the test texts of the synthetic clinic."""
    from suture.data import clinic as maker
    from suture.data.leakage import check_disjoint

    p = context.parameters
    found = maker.generate(p["seed"], p["train"], p["test"])
    learnt = maker.summaries(found.train)
    if p["part"] == LESSON:
        return _write(context, {"clinic_summary.train": learnt, "notes.train": maker.references(found.train)})
    asked = maker.summaries(found.test)
    check_disjoint(learnt, asked)
    return _write(
        context,
        {
            "clinic_mcq": maker.questions(found.test, p["seed"]),
            "clinic_summary": asked,
            "clinic_likelihood": maker.references(found.test),
        },
    )


def instructions(context: Context) -> str:
    """Write the prompts to learn from, or the contrast pairs, whose constraint kinds and prompts are others."""
    from suture.data import instructions as maker

    p = context.parameters
    if p["part"] == LESSON:
        return _write(context, {"instructions.train": maker.training(p["seed"], p["train"])})
    return _write(context, {"contrast": maker.contrast(p["seed"])})


def mts_dialog(context: Context) -> str:
    """Write MTS-Dialog's test split, or training items of all sections that share no eight words with it."""
    from suture.adapt.shots import draw_shots
    from suture.data.leakage import shared_ngrams, text_of
    from suture.data.mts_dialog import read_mts_dialog

    p = context.parameters
    folder = Path(p["folder"])
    asked = read_mts_dialog(folder, p["split"])
    if p["part"] == TEST:
        return _write(context, {"mts_section": asked, "mts_likelihood": asked})
    learnt = read_mts_dialog(folder, "train")
    shared = {i for i, _ in shared_ngrams([text_of(r) for r in learnt], [text_of(r) for r in asked])}
    longest = p["longest"] or max(len(_whole(record)) for record in learnt)
    clear = [r for index, r in enumerate(learnt) if index not in shared and len(_whole(r)) <= longest]
    return _write(context, {"mts_section.train": draw_shots(clear, p["train"], p["seed"])})


def plain(context: Context) -> str:
    """Write texts of one's own to learn from: the fields of each row, joined by blank lines."""
    from suture.data.tables import read_rows, tidy

    p = context.parameters
    bare = Record("", "texts", "", "", "", "", "train", "")
    records = [
        replace(bare, id=f"{Path(path).name}-{number}", target="\n\n".join(tidy(row[name]) for name in p["fields"]))
        for path in p["files"]
        for number, row in enumerate(read_rows(Path(path), p["fields"]), start=1)
    ]
    return _write(context, {"texts.train": records})


def own_task(context: Context) -> str:
    """Write the test items of a task of one's own, or the rows of its split "train" without those that repeat the test.

    Beside the test stand the first training rows, for its floors, and in either folder the task itself.
    """
    from suture.adapt.lessons import own_lesson
    from suture.evaluate.harness_tasks import check_documents
    from suture.tasks.own import OwnTask, is_taught, items_of, lesson_of, task_of

    own = OwnTask(**context.parameters["task"])
    task = task_of(own)
    keep_task(context.folder, task)
    if context.parameters["part"] == LESSON:
        return _write_lesson(context, task.name, own_lesson(own, "train", f"task {own.name}"))
    items = items_of(own)
    check_documents(task, items)
    taught = lesson_of(own, "train", f"task {own.name}")[:FLOOR] if is_taught(own) else []
    return _write_test(context, task.name, first(task.name, items, context.parameters["n"]), taught)


def suite_task(context: Context) -> str:
    """Write the test items of a suite's task, or the training split of its data set without what repeats the test."""
    from suture.adapt.lessons import suite_lesson
    from suture.evaluate.suites import suite_workload, training

    task, folder = get_task(context.parameters["task"]), Path(context.parameters["folder"])
    if context.parameters["part"] == LESSON:
        return _write_lesson(context, task.name, suite_lesson(task, folder))
    items = suite_workload(task, "", str(folder)).items
    if isinstance(items, Path):
        return _write_prompts(context, task.name, items)
    return _write_test(
        context, task.name, first(task.name, items, context.parameters["n"]), training(task, folder, most=FLOOR)
    )


def _write_test(context: Context, task: str, items: Sequence[Any], taught: Sequence[Record]) -> str:
    return _write(context, {task: items} | ({f"{task}.floor": taught} if taught else {}))


def _write_lesson(context: Context, task: str, lesson: Lesson) -> str:
    from suture.adapt.lessons import without_leaks

    clear, left = without_leaks(lesson, share=context.parameters["share"])
    if not clear.records:
        must = "A task that is learnt from must have training records that repeat nothing of its test."
        raise UsageError(Problem(must, f"0 of {len(lesson.records)}", f"task {task}"))
    (context.folder / "left_out.json").write_text(json.dumps({"left_out": left}), encoding="utf-8")
    return _write(context, {f"{task}.train": clear.records})


def _write_prompts(context: Context, task: str, path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = first(task, lines, context.parameters["n"])
    (context.folder / f"{task}.jsonl").write_text("".join(kept), encoding="utf-8")
    return _digest(context.folder)


def prompts(context: Context) -> str:
    """Copy the first n IFEval prompts of a file."""
    return _write_prompts(context, "ifeval", Path(context.parameters["path"]))


def drift(context: Context) -> str:
    """Write n records whose inputs are user turns of the test's tasks, taken from the tasks in turn."""
    turns = [_turns(path) for folder in context.inputs.values() for path in sorted(folder.glob("*.jsonl"))]
    dealt = [record for row in zip_longest(*turns) for record in row if record is not None]
    return _write(context, {"drift": first("drift", dealt, context.parameters["n"])})


def read_test(task: str, folder: Path, n: int | None) -> list[Any]:
    """Return the first n items of a task from the folder of its source, all where n is None."""
    asked = kept_task(task, folder)
    choices = asked.kind == "harness" and not asked.max_new_tokens
    items = read_items(folder / f"{task}.jsonl", Choice if choices else KINDS.get(asked.kind, Record))
    return first(task, items, n)


def own_workload(name: str, file: str, *, data: str | None) -> Any:
    """Return a task with the items of `file`, or with built-in ones where it is empty: all of the test's.

    data is the folder of MTS-Dialog. Raises UsageError for an unknown task, or one whose items must be given.
    """
    from suture.data import clinic as maker
    from suture.data.canaries import read_canaries
    from suture.data.instructions import contrast as pairs
    from suture.data.mts_dialog import read_mts_dialog
    from suture.evaluate.packaged import ifeval_prompts
    from suture.evaluate.suites import suite_workload
    from suture.evaluate.workload import Workload

    task = get_task(name)
    if task.name == CANARIES.name:
        return Workload(task, read_canaries(Path(file)))
    if is_suite_task(task.name):
        return suite_workload(task, file, data)
    if task.kind == "drift":
        raise UsageError(Problem("Drift needs the answers of two parents.", "one model", do="It is part of a study."))
    if file:
        own = Path(file)
        return Workload(task, own if task.kind == "ifeval" else read_items(own, KINDS.get(task.kind, Record)))
    if task.kind == "ifeval":
        return Workload(task, ifeval_prompts())
    if task.kind == "contrast":
        return Workload(task, pairs(BUILT_IN_SEED))
    if name.startswith("mts_"):
        if data is None:
            advice = f"Add --data with its folder Main-Dataset, or --task {name}=FILE."
            raise UsageError(Problem(f"{name} needs MTS-Dialog.", "no folder", do=advice))
        return Workload(task, read_mts_dialog(Path(data), "validation"))
    encounters = maker.generate(BUILT_IN_SEED, 0, BUILT_IN_ENCOUNTERS).test
    if name == "clinic_mcq":
        return Workload(task, maker.questions(encounters, BUILT_IN_SEED))
    return Workload(task, maker.summaries(encounters) if name == "clinic_summary" else maker.references(encounters))


def first(task: str, items: Sequence[T], n: int | None) -> list[T]:
    """Return the first n of a task's items. Raises UsageError where there are fewer."""
    if n is not None and n > len(items):
        must = f"n must be in [1, {len(items)}], the number of items."
        raise UsageError(Problem(must, str(n), f"evaluation.tasks.{task}", "Ask for fewer or enlarge the data."))
    return list(items[:n])


def digest_files(paths: Sequence[Path]) -> str:
    """Return the BLAKE3 hex digest of files' names and contents."""
    hasher = blake3()
    for path in sorted(paths):
        hasher.update(f"{path.name}\0{blake3(path.read_bytes()).hexdigest()}\n".encode())
    return hasher.hexdigest()


def mts_files(folder: Path) -> str:
    """Return the digest of the CSV files in a folder of MTS-Dialog, "" where there are none."""
    return digest_files(list(folder.glob("*.csv"))) if folder.is_dir() else ""


def _turns(path: Path) -> list[Record]:
    """Return the distinct user turns of one task's items; none for tasks without a chat."""
    task = get_task(path.stem)
    if task.kind == "contrast":
        bare = Record("", "instructions", "", "", "", "", "test", "Apache-2.0")
        pairs = read_items(path, ContrastPair)
        prompts = {pair.prompt_a: pair for pair in reversed(pairs)}
        turns = [_turn(replace(bare, id=pair.id, encounter=pair.topic), prompt) for prompt, pair in prompts.items()]
        return turns[::-1]
    if task.kind == "generation":
        return [_turn(record, task.user_text(record.input)) for record in read_items(path, Record)]
    return []


def _turn(record: Record, text: str) -> Record:
    return replace(record, id=f"drift-{record.id}", section="drift", input=text, target="", facts={})


def _whole(record: Record) -> str:
    return f"{record.input}\n{record.target}"


def _write(context: Context, files: Mapping[str, Sequence[Item]]) -> str:
    for name, items in files.items():
        write_items(context.folder / f"{name}.jsonl", items)
    return _digest(context.folder)


def _digest(folder: Path) -> str:
    return digest_files(list(folder.iterdir()))
