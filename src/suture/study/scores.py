"""Steps that measure: floors, drift's answers, the evaluation of each model, the gate, the comparison."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from blake3 import blake3

from suture.compare.gate import Gate, GateCheck
from suture.compare.verdicts import Comparison, Interval, Margin, read_comparison, write_comparison
from suture.data.records import ContrastPair, Record, read_items
from suture.study.graph import Context
from suture.study.models import weights_of, whole_model
from suture.study.tasks import kept_task
from suture.study.texts import digest_files, read_test
from suture.tasks.registry import get_task
from suture.tasks.suites import user_turn

REPLICATE = "A/A"
COMPARISON = "comparison.json"
EVALUATION = "evaluation: "
ANSWERS = "answers: "
PARENTS = ("general", "clinical")


def answers(context: Context) -> str:
    """Keep a parent's answers and distributions, to which all models are compared by drift."""
    from suture.evaluate.drift import keep_answers

    parent = context.inputs["model"]
    task = replace(get_task("drift"), max_new_tokens=context.parameters["new_tokens"])
    records = read_items(context.inputs["drift"] / "drift.jsonl", Record)
    keep_answers(parent / "model", task, records, context.folder, digest=weights_of(parent))
    return digest_files([context.folder / "answers.npz"])


def floors(context: Context) -> str:
    """Score the answers that did not read the question, and count the items and clusters of every task."""
    from suture.evaluate.floors import evaluate_floors

    sizes: dict[str, tuple[int, int]] = {}
    for name in context.parameters["tasks"]:
        load = _workload(context, name)
        lesson = context.inputs.get(f"lesson: {name}")
        taught = lesson / f"{name}.train.jsonl" if lesson else _source(context, name) / f"{name}.floor.jsonl"
        train = read_items(taught, Record) if taught.is_file() else []
        evaluate_floors(load, train, context.folder)
        sizes[name] = _size(load.items)
    (context.folder / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    return _rows_digest(sorted(context.folder.glob("floor-*/*")))


def evaluate(context: Context) -> str:
    """Evaluate a model on its tasks; results are kept below the study's folder and linked here."""
    from suture.evaluate.run import evaluate_model

    work = [_with_examples(context, _workload(context, name)) for name in context.parameters["tasks"]]
    results = context.shared / _results_of(context.parameters)
    batch = context.parameters["batch_size"]
    with whole_model(context, "model") as (model, digest), _alone(results, digest):
        found = evaluate_model(model, work, results, digest=digest, batch_size=batch)
    for name, folder in found.items():
        (context.folder / name).mkdir()
        for path in folder.iterdir():
            _link(path, context.folder / name / path.name)
    _write_json(
        context.folder / "evaluation.json", {"weights_digest": digest, "examples": context.parameters.get("examples")}
    )
    return _rows_digest([context.folder / name for name in sorted(found)])


def gate(context: Context) -> str:
    """Ask whether the parents differ as they must before a merge is evaluated; `passed` is the answer."""
    from suture.compare.compare import compare
    from suture.compare.gate import check_gate

    p = context.parameters
    with _view(context, {task for task, _ in (p["instruction"], p["notes"])}) as results:
        comparison = compare(results, against=["general"], floors={}, margins=[])
    axes = {"instruction": tuple(p["instruction"]), "notes": tuple(p["notes"])}
    found = check_gate(comparison, general="general", clinical="clinical", **axes)
    passed = found.accepted or not p["required"]
    _write_json(context.folder / "gate.json", {"passed": passed, "gate": asdict(found)})
    return "passed" if passed else "not passed"


def compare_models(context: Context) -> str:
    """Compare all models with both parents, and the general parent with itself where it was evaluated twice."""
    from suture.compare.compare import compare
    from suture.compare.replicate import contrast_replicates

    p = context.parameters
    margins = [Margin(**margin) for margin in p["margins"]]
    with _view(context) as results:
        again = results.pop(REPLICATE, None)
        found = compare(results, against=PARENTS, floors=floor_folders(context.inputs["floors"]), margins=margins)
        rows = contrast_replicates(results["general"], again, against="general", label=REPLICATE) if again else ()
    write_comparison(context.folder / COMPARISON, replace(found, replicates=rows))
    return digest_files([context.folder / COMPARISON])


def read_gate(folder: Path) -> Gate:
    """Return the gate that a step wrote."""
    raw = json.loads((folder / "gate.json").read_text(encoding="utf-8"))["gate"]
    checks = tuple(GateCheck(**check | {"interval": Interval(**check["interval"])}) for check in raw["checks"])
    return Gate(raw["accepted"], checks, raw["sentence"])


def read_compared(folder: Path) -> Comparison:
    """Return the comparison that a step wrote, the A/A rows among it."""
    return read_comparison(folder / COMPARISON)


def floor_folders(folder: Path) -> dict[str, Path]:
    """Return floor label -> folder of its results, from the folder of the floors' step."""
    return {path.name.removeprefix("floor-"): path for path in sorted(folder.glob("floor-*"))}


def gate_passed(folder: Path) -> bool:
    """Say whether merges are to be evaluated, from the folder of the gate's step."""
    return bool(json.loads((folder / "gate.json").read_text(encoding="utf-8"))["passed"])


def _workload(context: Context, name: str) -> Any:
    from suture.evaluate.workload import Workload

    run = context.parameters["tasks"][name]
    source = _source(context, name)
    task = kept_task(name, source)
    if run["new_tokens"]:
        task = replace(task, max_new_tokens=run["new_tokens"])
    if task.kind == "ifeval":
        return Workload(task, source / f"{name}.jsonl")
    parents = {role.removeprefix(ANSWERS): p for role, p in context.inputs.items() if role.startswith(ANSWERS)}
    return Workload(task, read_test(name, source, run["n"]), parents if task.kind == "drift" else {})


def _with_examples(context: Context, load: Any) -> Any:
    """Return the workload with the training records that are shown before each item, where the study says so."""
    from suture.adapt.shots import draw_shots

    if "examples" not in context.parameters:
        return load
    records = read_items(context.inputs["lesson"] / f"{load.task.name}.train.jsonl", Record)
    turn = user_turn(load.task)
    shots = draw_shots(records, **context.parameters["examples"])
    return replace(load, examples=tuple((turn.replace("{input}", shot.input), shot.target) for shot in shots))


def _results_of(parameters: Mapping[str, Any]) -> str:
    """Return the folder of results: the same weights are kept apart where they are run again or shown examples."""
    if "examples" in parameters:
        return "in-context-{shots}-seed-{seed}".format(**parameters["examples"])
    return "replicates" if parameters["replicate"] else "results"


def _source(context: Context, task: str) -> Path:
    return context.inputs[context.parameters["tasks"][task]["source"]]


def _size(items: Sequence[Any] | Path) -> tuple[int, int]:
    if isinstance(items, Path):
        lines = len(items.read_text(encoding="utf-8").splitlines())
        return lines, lines
    groups = {item.topic if isinstance(item, ContrastPair) else item.encounter for item in items}
    return len(items), len(groups)


@contextmanager
def _view(context: Context, tasks: set[str] | None = None) -> Iterator[dict[str, Path]]:
    """Lay out label -> folder of the results that this step compares.

    Of equal weights, shown the same examples, there is one: a parent before others.
    """
    labels: list[str] = context.parameters["labels"]
    held: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: label not in PARENTS):
        about = json.loads((context.inputs[EVALUATION + label] / "evaluation.json").read_text(encoding="utf-8"))
        held.setdefault(REPLICATE if label == REPLICATE else json.dumps(about, sort_keys=True), label)
    with TemporaryDirectory() as temporary:
        view: dict[str, Path] = {}
        for number, label in enumerate(label for label in labels if label in held.values()):
            view[label] = Path(temporary) / str(number)
            view[label].mkdir()
            for place in context.inputs[EVALUATION + label].iterdir():
                if place.is_dir() and (tasks is None or place.name in tasks):
                    (view[label] / place.name).symlink_to(place.resolve())
        yield view


def _rows_digest(folders: Sequence[Path]) -> str:
    """Return the digest of all rows but their times."""
    from suture.evaluate.items import read_rows

    hasher = blake3()
    for folder in folders:
        for row in read_rows(folder):
            hasher.update(f"{replace(row, seconds=0.0)!r}\n".encode())
    return hasher.hexdigest()


def _link(source: Path, target: Path) -> None:
    """Link a finished file, which is only ever replaced whole; copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _alone(results: Path, digest: str) -> Iterator[None]:
    """Let one worker at a time evaluate one set of weights: the next one finds what the first has computed."""
    results.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (results / f".{digest[:12]}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")
