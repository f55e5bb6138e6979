"""Study -> graph of steps, and the list of its models: what each is, which step makes it, which tasks it answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from suture.study.graph import Graph, Step
from suture.study.schema import ANCESTOR, CLINICAL, GENERAL, LESSONS, SOURCES, Merge, Parent, Study, Training
from suture.study.scores import ANSWERS, EVALUATION, REPLICATE
from suture.study.texts import LESSON, TEST, digest_files, expand, mts_files

Role = Literal["ancestor", "general", "clinical", "merge", "adapted", "replicate"]
ROUNDINGS = ("stochastic", "nearest")
CURVES = "curves"
# Seconds on one core at 135 million parameters, which serve to order the steps and nothing else.
SECONDS = {"ifeval": 4.0, "contrast": 0.3, "choice": 0.8, "generation": 3.0, "likelihood": 0.8, "drift": 1.0}
TOKENS_A_SECOND = 70


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a study. step makes it; start is the label that it was made from; nominal is NaN off the path.

    shots and seed are those of an adapted model. parts are the steps that an arm of the orders merges, by role.
    """

    label: str
    role: Role
    step: str
    method: str
    nominal: float
    tasks: tuple[str, ...]
    start: str = ""
    gated: bool = False
    merge: Merge | None = None
    shots: int = 0
    seed: int = 0
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Built:
    """A study as work: its models in the order of the tables, and its steps.

    planning: the quick steps that the plan needs. opening: the gate and all that does not wait for it. graph: all.
    """

    entries: tuple[Entry, ...]
    planning: Graph
    opening: Graph
    graph: Graph

    def is_evaluated(self, entry: Entry) -> bool:
        """Say whether a model answers the tasks: the gate may keep merges from doing so."""
        return evaluation_step(entry) in self.graph.steps


def build(study: Study, *, passed: bool = True) -> Built:
    """Return the steps of a study; where the gate was not `passed`, no merge is adapted or evaluated.

    Raises UsageError and BadInputError for data or models that are not there.
    """
    entries = tuple(
        entry for entry in _entries(study) if passed or not entry.gated or (entry.role == "merge" and not entry.parts)
    )
    measured = [entry for entry in entries if passed or not entry.gated]
    quick = [*_texts(study), *_floors(study)]
    free = _measures(study, [entry for entry in measured if not entry.gated])
    opening = [*quick, *_models(study), *_parent_answers(study), *_gate(study, entries), *free]
    gated = _measures(study, [entry for entry in measured if entry.gated])
    last = [_comparison(study, measured), *_curves(study, measured)]
    return Built(entries, Graph(quick), Graph(opening), Graph([*opening, *gated, *last]))


def _measures(study: Study, entries: list[Entry]) -> Iterator[Step]:
    """Yield the steps that adapt and evaluate `entries`."""
    for entry in entries:
        if entry.role == "adapted":
            yield _adaptation(study, entry)
        if entry.parts and entry.merge is not None:
            yield Step(entry.step, "merge", {"merge": entry.merge.model_dump(mode="json")}, entry.parts, 3)
        yield _evaluation(study, entry, evaluation_step(entry), entry.tasks)


def _entries(study: Study) -> Iterator[Entry]:
    every = tuple(study.evaluation.tasks)
    if study.evaluation.ancestor:
        yield Entry(ANCESTOR, "ancestor", ANCESTOR, "", math.nan, study.evaluation.ancestor)
    yield _end(study, GENERAL, 0.0)
    for merge in study.merges:
        step, nominal = f"merge {merge.label}", math.nan if merge.at is None else merge.at
        yield Entry(merge.label, "merge", step, merge.method, nominal, every, gated=True, merge=merge)
    yield _end(study, CLINICAL, 1.0)
    if study.adapt is not None:
        kind = "LoRA" if study.adapt.settings.lora_rank else "supervised"
        for start, shots, seed in product(study.adapt.starts, study.adapt.shots, study.adapt.seed):
            label, how = study.adapt.label(start, shots, seed), f"{kind}, {shots} shots"
            gated = start not in study.ends
            yield Entry(label, "adapted", f"adapt {label}", how, math.nan, every, start, gated, shots=shots, seed=seed)
    yield from _arms(study)
    if study.evaluation.replicate:
        step = _parent_step(study, GENERAL)
        yield Entry(REPLICATE, "replicate", step, "", math.nan, study.evaluation.replicate, GENERAL)


def _arms(study: Study) -> Iterator[Entry]:
    """Yield the models that were fine-tuned before they were merged."""
    orders, adapt = study.orders, study.adapt
    if orders is None or adapt is None:
        return
    every, merged = tuple(study.evaluation.tasks), f"merge {orders.merge.label}"
    for arm, seed in product(orders.arms, adapt.seed):
        tuned = {role: f"adapt {adapt.label(role, orders.shots, seed)}" for role in (GENERAL, CLINICAL)}
        graft = Merge(method="task_arithmetic", weights=(1.0, 1.0))
        parts, merge = {
            "tune both": (tuned, orders.merge),
            "tune general": ({GENERAL: tuned[GENERAL], CLINICAL: _parent_step(study, CLINICAL)}, orders.merge),
            "graft": ({ANCESTOR: _parent_step(study, GENERAL), GENERAL: tuned[GENERAL], CLINICAL: merged}, graft),
        }[arm]
        label = adapt.label(orders.label(arm), orders.shots, seed)
        how = f"{merge.method.replace('_', ' ')} after adaptation"
        start = adapt.label(GENERAL, orders.shots, seed)
        yield Entry(label, "merge", f"merge {label}", how, math.nan, every, start, True, merge, parts=parts)


def _end(study: Study, role: Literal["general", "clinical"], nominal: float) -> Entry:
    parent = study.ends[role]
    start = ANCESTOR if parent.learn is not None else ""
    return Entry(role, role, _parent_step(study, role), _how(parent), nominal, tuple(study.evaluation.tasks), start)


def _texts(study: Study) -> Iterator[Step]:
    data = study.data
    if data.clinic is not None:
        for part in (LESSON, TEST):
            yield Step(f"clinic {part}", "clinic", {**data.clinic.model_dump(), "part": part})
    if data.instructions is not None:
        for part in (LESSON, TEST):
            yield Step(f"instructions {part}", "instructions", {**data.instructions.model_dump(), "part": part})
    if data.mts_dialog is not None:
        folder = Path(expand(data.mts_dialog.path))
        about = {**data.mts_dialog.model_dump(exclude={"path"}), "folder": str(folder), "files": mts_files(folder)}
        for part in (LESSON, TEST):
            yield Step(f"mts_dialog {part}", "mts_dialog", {**about, "part": part})
    if data.texts is not None:
        files = [Path(expand(path)) for path in data.texts.files]
        about = {"files": [str(path) for path in files], "fields": list(data.texts.fields)}
        there = [path for path in files if path.is_file()]  # the step says which are not
        yield Step("texts lesson", "texts", about | {"digest": digest_files(there)})
    tasks = study.evaluation.tasks
    if "ifeval" in tasks:
        yield Step("prompts", "prompts", {"n": tasks["ifeval"].n, **_prompts(tasks["ifeval"].path)})
    if "drift" in tasks:
        turns = sorted({source_step(name) for name in tasks if name in ("contrast", "clinic_summary", "mts_section")})
        yield Step("drift records", "drift", {"n": tasks["drift"].n}, {name: name for name in turns})


def _prompts(path: str | None) -> dict[str, str]:
    from suture.evaluate.packaged import ifeval_prompts

    found = Path(path) if path is not None else ifeval_prompts()
    return {"path": str(found), "digest": digest_files([found])}


def _floors(study: Study) -> Iterator[Step]:
    tasks = {name: run for name, run in _runs(study).items() if name != "drift"}
    inputs = {run["source"]: run["source"] for run in tasks.values()}
    lessons = {name: f"{SOURCES[name]} {LESSON}" for name in ("clinic_summary", "mts_section") if name in tasks}
    yield Step("floors", "floors", {"tasks": tasks}, inputs | {f"lesson: {n}": s for n, s in lessons.items()}, 20)


def _models(study: Study) -> Iterator[Step]:
    from suture.study.models import signature

    if study.ancestor is not None:
        if study.ancestor.model is not None:
            yield Step(ANCESTOR, "reference", signature(study.ancestor.model))
        else:
            yield Step(ANCESTOR, "ancestor", study.ancestor.model_dump(exclude={"model"}), cost=10)
    for role, parent in study.ends.items():
        if parent.model is not None:
            yield Step(role, "reference", signature(parent.model))
        if parent.learn is not None and parent.settings is not None:
            lesson = f"{LESSONS[parent.learn]} {LESSON}"
            parameters = {"learn": parent.learn, "settings": parent.settings.model_dump()}
            yield Step(role, "train", parameters, {"start": ANCESTOR, "lesson": lesson}, _training(parent.settings))
    for merge in study.merges:
        inputs = _ends(study, merge)
        about = merge.model_dump(mode="json")
        yield Step(f"merge {merge.label}", "merge", {"merge": about}, inputs, 3)
        recorded = study.record_rounding and merge.method == "linear" and merge.at is not None
        for rounding in ROUNDINGS if recorded else ():
            written = {"dtype": study.record_rounding, "rounding": rounding}
            yield Step(rounding_step(merge, rounding), "rounding", {"merge": about, "written": written}, inputs, 2)


def _parent_answers(study: Study) -> Iterator[Step]:
    if "drift" in study.evaluation.tasks:
        tokens = study.evaluation.task("drift").max_new_tokens
        for role in study.ends:
            inputs = {"model": _parent_step(study, role), "drift": "drift records"}
            yield Step(f"answers {role}", "answers", {"new_tokens": tokens}, inputs, 20)


def _gate(study: Study, entries: tuple[Entry, ...]) -> Iterator[Step]:
    probes = tuple(dict.fromkeys((study.gate.instruction[0], study.gate.notes[0])))
    ends = [entry for entry in entries if entry.role in study.ends]
    for entry in ends:
        yield _evaluation(study, entry, f"probe {entry.label}", probes)
    about = {"labels": [entry.label for entry in ends], **study.gate.model_dump(mode="json")}
    yield Step("gate", "gate", about, {EVALUATION + entry.label: f"probe {entry.label}" for entry in ends}, 5)


def _comparison(study: Study, entries: Sequence[Entry]) -> Step:
    about = {
        "labels": [entry.label for entry in entries],
        "margins": [asdict(margin.margin()) for margin in study.margins],
    }
    inputs = {EVALUATION + entry.label: evaluation_step(entry) for entry in entries}
    return Step("compare", "compare", about, inputs | {"floors": "floors"}, 20)


def _curves(study: Study, entries: Sequence[Entry]) -> Iterator[Step]:
    """Yield the step of the learning curves, where there is more than one number of shots and a margin."""
    if study.adapt is None or len(study.adapt.shots) == 1 or not study.margins:
        return
    starts = study.adapt.starts
    drawn = [entry for entry in entries if entry.role == "adapted" or entry.label in starts]
    models = [
        {"label": e.label, "start": e.start if e.shots else e.label, "shots": e.shots, "seed": e.seed} for e in drawn
    ]
    present = {model["start"] for model in models if model["shots"]}
    rivals = [start for start in starts if start in study.ends and start in present]
    about = {
        "models": models,
        "measures": [{"task": m.task, "metric": m.metric, "margin": m.value} for m in study.margins],
        "merged": [start for start in starts if start not in study.ends and start in present] if rivals else [],
        "rivals": rivals,
    }
    yield Step(CURVES, "curves", about, {EVALUATION + e.label: evaluation_step(e) for e in drawn}, 5)


def evaluation_step(entry: Entry) -> str:
    """Return the name of the step that evaluates a model."""
    return f"evaluate {entry.label}"


def rounding_step(merge: Merge, rounding: str) -> str:
    """Return the name of the step that records a merge's rounding."""
    return f"round {merge.label} {rounding}"


def _evaluation(study: Study, entry: Entry, name: str, tasks: tuple[str, ...]) -> Step:
    runs = {task: run for task, run in _runs(study).items() if task in tasks}
    inputs = {"model": entry.step} | {run["source"]: run["source"] for run in runs.values()}
    if "drift" in runs:
        inputs |= {ANSWERS + role: f"answers {role}" for role in study.ends}
    about = {"tasks": runs, "replicate": entry.role == "replicate", "batch_size": study.evaluation.batch_size}
    cost = sum((run["n"] or 200) * SECONDS.get(study.evaluation.task(task).kind, 1.0) for task, run in runs.items())
    return Step(name, "evaluate", about, inputs, cost)


def _runs(study: Study) -> dict[str, dict[str, Any]]:
    """Return for each task how much of it is run, and the step that writes its items."""
    runs = study.evaluation.tasks.items()
    return {name: {"n": run.n, "new_tokens": run.new_tokens, "source": source_step(name)} for name, run in runs}


def source_step(task: str) -> str:
    """Return the name of the step that writes a task's items."""
    return {"ifeval": "prompts", "drift": "drift records"}.get(task) or f"{SOURCES[task]} {TEST}"


def _ends(study: Study, merge: Merge) -> dict[str, str]:
    ends = {role: _parent_step(study, role) for role in study.ends}
    return ends | ({ANCESTOR: ANCESTOR} if merge.needs_ancestor else {})


def _adaptation(study: Study, entry: Entry) -> Step:
    assert study.adapt is not None
    settings = study.adapt.training(entry.shots, entry.seed)
    about = {
        "task": study.adapt.task,
        "shots": entry.shots,
        "seed": entry.seed,
        "settings": settings.model_dump(mode="json"),
    }
    inputs = {
        "start": _parent_step(study, entry.start) if entry.start in study.ends else f"merge {entry.start}",
        "lesson": f"{SOURCES[study.adapt.task]} {LESSON}",
    }
    return Step(entry.step, "adapt", about, inputs, _training(settings))


def _parent_step(study: Study, role: str) -> str:
    parent = study.ends[role]
    return ANCESTOR if parent.learn is None and parent.model is None else role


def _how(parent: Parent) -> str:
    if parent.learn is None:
        return ""
    return "continued pre-training" if parent.learn in ("notes", "texts") else "supervised fine-tuning"


def _training(settings: Training) -> float:
    return settings.steps * settings.batch * settings.length / TOKENS_A_SECOND
