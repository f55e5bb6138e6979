"""Study -> graph of steps, and the list of its models: what each is, which step makes it, which tasks it answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any, Literal

from suture.errors import Problem
from suture.study.graph import Graph, Step
from suture.study.inputs import Lookup, data_files
from suture.study.models import BASE
from suture.study.overlap import ASKED, LEARNT
from suture.study.schema import Study
from suture.study.scores import ANSWERS, EVALUATION, REPLICATE
from suture.study.sections import ANCESTOR, CLINICAL, GENERAL, Adapt, Control, InContext, Merge, Parent, Training
from suture.study.tasks import LESSON, LESSONS, SOURCES, TEMPLATED, TEST, lesson_step, source_step
from suture.study.texts import digest_files, mts_files
from suture.tasks.registry import is_suite_task
from suture.tasks.task import Task

Role = Literal["ancestor", "general", "clinical", "merge", "adapted", "replicate"]
ROUNDINGS = ("stochastic", "nearest")
CURVES, OVERLAP = "curves", "overlap"
# Seconds on one core at 135 million parameters, which serve to order the steps and nothing else.
SECONDS = {"contrast": 0.3, "choice": 0.8, "generation": 3.0, "likelihood": 0.8, "drift": 1.0}
SECONDS_A_TOKEN = 0.015  # of the limit of an answer
TOKENS_A_SECOND = 70


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a study. step makes it; start is the label that it was made from; nominal is NaN off the path.

    shots and seed are those of a model adapted as `adapt` says, or shown examples as `examples` says. parts are the
    steps that an arm of the orders merges, by role, and what those of them are on that are kept as adapters.
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
    adapt: Adapt | None = None
    examples: InContext | None = None
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


def build(study: Study, *, passed: bool = True, absent: list[Problem] | None = None) -> Built:
    """Return the steps of a study; where the gate was not `passed`, no merge is adapted or evaluated.

    Raises UsageError and BadInputError for data or models that are not there; with a list `absent` they are noted in
    it, and the steps are those that a plan can show, which cannot run.
    """
    look = Lookup(absent)
    entries = tuple(
        entry for entry in _entries(study) if passed or not entry.gated or (entry.role == "merge" and not entry.parts)
    )
    measured = [entry for entry in entries if passed or not entry.gated]
    quick = [*_texts(study, look), *_floors(study), *_overlap(study)]
    free = _measures(study, [entry for entry in measured if not entry.gated])
    opening = [*quick, *_models(study, look), *_parent_answers(study), *_gate(study, entries), *free]
    gated = _measures(study, [entry for entry in measured if entry.gated])
    last = [_comparison(study, measured), *_curves(study, measured)]
    return Built(entries, Graph(quick), Graph(opening), Graph([*opening, *gated, *last]))


def _measures(study: Study, entries: list[Entry]) -> Iterator[Step]:
    """Yield the steps that adapt and evaluate `entries`."""
    for entry in entries:
        if entry.adapt is not None:
            yield _adaptation(study, entry, entry.adapt)
        if entry.parts and entry.merge is not None:
            yield Step(entry.step, "merge", _merging(study, entry.merge), entry.parts, 3)
        yield _evaluation(study, entry, evaluation_step(entry), entry.tasks)


def _merging(study: Study, merge: Merge) -> dict[str, Any]:
    narrower = {} if study.dtype == "float32" else {"dtype": study.dtype}
    return {"merge": merge.model_dump(mode="json"), **narrower}


def _entries(study: Study) -> Iterator[Entry]:
    every = tuple(study.evaluation.tasks)
    starts = [start for adapt in study.adapt for start in adapt.starts]
    if study.evaluation.ancestor or ANCESTOR in starts:
        asked = every if ANCESTOR in starts else study.evaluation.ancestor
        yield Entry(ANCESTOR, "ancestor", ANCESTOR, "", math.nan, asked)
    yield _end(study, GENERAL, 0.0)
    for merge in study.merges:
        step, nominal = f"merge {merge.label}", math.nan if merge.at is None else merge.at
        yield Entry(merge.label, "merge", step, merge.method, nominal, every, gated=True, merge=merge)
    yield _end(study, CLINICAL, 1.0)
    for name, control in study.controls.items():
        yield Entry(name, "adapted", name, _how(control), math.nan, every, control.of)
    for adapt in study.adapt:
        yield from _adapted(study, adapt)
    for shown in study.in_context:
        yield from _with_examples(study, shown)
    yield from _arms(study)
    if study.evaluation.replicate:
        step = _parent_step(study, GENERAL)
        yield Entry(REPLICATE, "replicate", step, "", math.nan, study.evaluation.replicate, GENERAL)


def _adapted(study: Study, adapt: Adapt) -> Iterator[Entry]:
    kind, asked, called = "LoRA" if adapt.settings.lora_rank else "supervised", study.asked(adapt), study.called(adapt)
    for start, shots, seed in adapt.points():
        label, how = adapt.label(start, shots, seed, called), f"{kind}, {shots} shots"
        gated = start in [merge.label for merge in study.merges]
        step = f"adapt {label}"
        yield Entry(
            label, "adapted", step, how, math.nan, asked, start, gated, shots=shots, seed=seed, adapt=adapt
        )  # fmt: skip


def _with_examples(study: Study, shown: InContext) -> Iterator[Entry]:
    """Yield the models that are not trained but are shown examples."""
    for start, shots, seed in shown.points():
        label, how = shown.label(start, shots, seed, study.called(shown)), f"{shots} examples in context"
        gated = start in [merge.label for merge in study.merges]
        step = _start_step(study, start)
        yield Entry(
            label, "adapted", step, how, math.nan, (shown.task,), start, gated, shots=shots, seed=seed, examples=shown
        )


def _arms(study: Study) -> Iterator[Entry]:
    """Yield the models that were fine-tuned before they were merged."""
    orders = study.orders
    if orders is None or not study.adapt:
        return
    adapt, merged = study.adapt[0], f"merge {orders.merge.label}"
    asked, called = study.asked(adapt), study.called(adapt)
    for arm, seed in product(orders.arms, adapt.seed):
        tuned = {role: f"adapt {adapt.label(role, orders.shots, seed, called)}" for role in (GENERAL, CLINICAL)}
        graft = Merge(method="task_arithmetic", weights=(1.0, 1.0))
        half = Merge(method="linear", at=0.5)
        parts, merge = {
            "tune both": (tuned, orders.merge),
            "tune general": ({GENERAL: tuned[GENERAL], CLINICAL: _parent_step(study, CLINICAL)}, orders.merge),
            "graft": ({ANCESTOR: _parent_step(study, GENERAL), GENERAL: tuned[GENERAL], CLINICAL: merged}, graft),
            "halve": ({GENERAL: _parent_step(study, GENERAL), CLINICAL: tuned[GENERAL]}, half),
        }[arm]
        if adapt.keep == "adapter":
            on = {step: _parent_step(study, role) for role, step in tuned.items()}
            parts = parts | {BASE + role: on[step] for role, step in parts.items() if step in on}
        label = adapt.label(orders.label(arm), orders.shots, seed, called)
        how = f"{merge.method.replace('_', ' ')} after adaptation"
        start = adapt.label(GENERAL, orders.shots, seed, called)
        gated = arm != "halve"
        yield Entry(label, "merge", f"merge {label}", how, math.nan, asked, start, gated, merge, parts=parts)


def _end(study: Study, role: Literal["general", "clinical"], nominal: float) -> Entry:
    parent = study.ends[role]
    start = ANCESTOR if parent.learn is not None else ""
    return Entry(role, role, _parent_step(study, role), _how(parent), nominal, tuple(study.evaluation.tasks), start)


def _texts(study: Study, look: Lookup) -> Iterator[Step]:
    data = study.data
    if data.clinic is not None:
        for part in (LESSON, TEST):
            yield Step(f"clinic {part}", "clinic", {**data.clinic.model_dump(), "part": part})
    if data.instructions is not None:
        for part in (LESSON, TEST):
            yield Step(f"instructions {part}", "instructions", {**data.instructions.model_dump(), "part": part})
    if data.mts_dialog is not None:
        folder = look.folder(data.mts_dialog.path, "data.mts_dialog.path")
        about = {**data.mts_dialog.model_dump(exclude={"path"}), "folder": str(folder), "files": mts_files(folder)}
        for part in (LESSON, TEST):
            yield Step(f"mts_dialog {part}", "mts_dialog", {**about, "part": part})
    if data.texts is not None:
        files = [look.file(path, "data.texts.files") for path in data.texts.files]
        about = {"files": [str(path) for path in files], "fields": list(data.texts.fields)}
        there = [path for path in files if path.is_file()]  # the step says which are not
        yield Step("texts lesson", "texts", about | {"digest": digest_files(there)})
    yield from _items(study, look)
    tasks = study.evaluation.tasks
    if "ifeval" in tasks:
        yield Step("prompts", "prompts", {"n": tasks["ifeval"].n, **look.prompts(tasks["ifeval"].path)})
    if "drift" in tasks:
        turns = sorted({source_step(name) for name in tasks if name in ("contrast", "clinic_summary", "mts_section")})
        yield Step("drift records", "drift", {"n": tasks["drift"].n}, {name: name for name in turns})


def _items(study: Study, look: Lookup) -> Iterator[Step]:
    """Yield the steps that write items of suites' tasks and of one's own, and what is learnt of them."""
    asked, learnt = list(study.evaluation.tasks), study.learnt
    own = {keys.name: keys for keys in study.tasks}
    for name in dict.fromkeys([*asked, *learnt]):
        if name in own:
            data = look.file(own[name].data, f"task {name}")
            about: dict[str, Any] = {"task": own[name].model_dump(mode="json"), "files": data_files([data])}
        elif is_suite_task(name):
            folder = look.folder(study.data.folder or "", "data.folder")
            files = look.dataset(study.known[name].dataset, folder)
            about = {"task": name, "folder": str(folder), "files": files}
        else:
            continue
        kind, run = "own_task" if name in own else "suite_task", study.evaluation.tasks.get(name)
        if name in asked:
            yield Step(source_step(name), kind, {**about, "part": TEST, "n": run.n if run else None})
        if name in learnt:
            yield Step(lesson_step(name), kind, {**about, "part": LESSON, "share": study.data.leak_share})


def _floors(study: Study) -> Iterator[Step]:
    tasks = {name: run for name, run in _runs(study).items() if name != "drift"}
    inputs = {run["source"]: run["source"] for run in tasks.values()}
    lessons = {name: lesson_step(name) for name in ("clinic_summary", "mts_section") if name in tasks}
    yield Step("floors", "floors", {"tasks": tasks}, inputs | {f"lesson: {n}": s for n, s in lessons.items()}, 20)


def _overlap(study: Study) -> Iterator[Step]:
    """Yield the step that compares what is learnt with what is tested, where either is not made from templates."""
    trained: list[Parent | Control] = [*study.ends.values(), *study.controls.values()]
    taught = [LESSONS[one.learn] for one in trained if one.learn is not None]
    steps = [f"{source} {LESSON}" for source in taught] + [lesson_step(task) for task in study.learnt]
    learnt = [step for step in dict.fromkeys(steps) if step.partition(" ")[0] not in TEMPLATED]
    tasks = {name: study.known[name] for name in study.evaluation.tasks}
    asked = [
        name
        for name, task in tasks.items()
        if task.kind not in ("ifeval", "contrast", "drift") and SOURCES.get(name) not in TEMPLATED
    ]
    if learnt and asked:
        inputs = {LEARNT + step: step for step in learnt} | {ASKED + name: source_step(name) for name in asked}
        about = {"allowed": study.data.allow_overlap, "share": study.data.leak_share}
        yield Step(OVERLAP, "overlap", about, inputs, 10)


def _models(study: Study, look: Lookup) -> Iterator[Step]:
    if study.ancestor is not None:
        if study.ancestor.model is not None:
            yield Step(ANCESTOR, "reference", look.model(study.ancestor.model))
        else:
            yield Step(ANCESTOR, "ancestor", study.ancestor.model_dump(exclude={"model"}), cost=10)
    for role, parent in study.ends.items():
        if parent.model is not None:
            yield Step(role, "reference", look.model(parent.model))
        if parent.learn is not None and parent.settings is not None:
            yield _taught(role, parent.learn, parent.settings, ANCESTOR)
    for name, control in study.controls.items():
        yield _taught(name, control.learn, control.settings, _start_step(study, control.of))
    for merge in study.merges:
        inputs = _ends(study, merge)
        about = merge.model_dump(mode="json")
        yield Step(f"merge {merge.label}", "merge", _merging(study, merge), inputs, 3)
        recorded = study.record_rounding and merge.method == "linear" and merge.at is not None
        for rounding in ROUNDINGS if recorded else ():
            written = {"dtype": study.record_rounding, "rounding": rounding}
            yield Step(rounding_step(merge, rounding), "rounding", {"merge": about, "written": written}, inputs, 2)


def _taught(name: str, learn: str, settings: Training, start: str) -> Step:
    inputs = {"start": start, "lesson": f"{LESSONS[learn]} {LESSON}"}
    return Step(name, "train", {"learn": learn, "settings": settings.written()}, inputs, _training(settings))


def _parent_answers(study: Study) -> Iterator[Step]:
    if "drift" in study.evaluation.tasks:
        tokens = study.task("drift").max_new_tokens
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
    """Yield a step of learning curves for each task adapted to at several numbers of shots, where there is a margin."""
    for adapt in study.adapt:
        if adapt.name or len(adapt.shots) == 1 or not study.margins:
            continue
        drawn = [e for e in entries if e.adapt is adapt or (e.label in adapt.starts and e.adapt is None)]
        models = [
            {"label": e.label, "start": e.start if e.shots else e.label, "shots": e.shots, "seed": e.seed}
            for e in drawn
        ]
        present = {model["start"] for model in models if model["shots"]}
        rivals = [start for start in adapt.starts if start in study.ends and start in present]
        merged = [merge.label for merge in study.merges if merge.label in present]
        asked = study.asked(adapt)
        about = {
            "models": models,
            "measures": [
                {"task": m.task, "metric": m.metric, "margin": m.value} for m in study.margins if m.task in asked
            ],
            "merged": merged if rivals else [],
            "rivals": rivals,
        }
        inputs = {EVALUATION + e.label: evaluation_step(e) for e in drawn}
        yield Step(curves_step(study, adapt), "curves", about, inputs, 5)


def curves_step(study: Study, adapt: Adapt) -> str:
    """Return the name of the step that draws the learning curves of an adaptation."""
    return " ".join(part for part in (CURVES, study.called(adapt)) if part)


def evaluation_step(entry: Entry) -> str:
    """Return the name of the step that evaluates a model."""
    return f"evaluate {entry.label}"


def rounding_step(merge: Merge, rounding: str) -> str:
    """Return the name of the step that records a merge's rounding."""
    return f"round {merge.label} {rounding}"


def _evaluation(study: Study, entry: Entry, name: str, tasks: tuple[str, ...]) -> Step:
    runs = {task: run for task, run in _runs(study).items() if task in tasks}
    inputs = {"model": entry.step} | {run["source"]: run["source"] for run in runs.values()}
    if entry.adapt is not None and entry.adapt.keep == "adapter":
        inputs[BASE + "model"] = _start_step(study, entry.start)
    if "drift" in runs:
        inputs |= {ANSWERS + role: f"answers {role}" for role in study.ends}
    about = {"tasks": runs, "replicate": entry.role == "replicate", "batch_size": study.evaluation.batch_size}
    if entry.examples is not None:
        about |= {"examples": {"shots": entry.shots, "seed": entry.seed}}
        inputs |= {"lesson": lesson_step(entry.examples.task)}
    cost = sum((run["n"] or 200) * _seconds(study.task(task)) for task, run in runs.items())
    return Step(name, "evaluate", about, inputs, cost)


def _seconds(task: Task) -> float:
    """Return the core seconds of one item."""
    if task.kind in ("harness", "ifeval"):
        return SECONDS_A_TOKEN * task.max_new_tokens or SECONDS["choice"]
    return SECONDS.get(task.kind, 1.0)


def _runs(study: Study) -> dict[str, dict[str, Any]]:
    """Return for each task how much of it is run, and the step that writes its items."""
    runs = study.evaluation.tasks.items()
    return {name: {"n": run.n, "new_tokens": run.new_tokens, "source": source_step(name)} for name, run in runs}


def _ends(study: Study, merge: Merge) -> dict[str, str]:
    ends = {role: _parent_step(study, role) for role in study.ends}
    return ends | ({ANCESTOR: ANCESTOR} if merge.needs_ancestor else {})


def _adaptation(study: Study, entry: Entry, adapt: Adapt) -> Step:
    settings = adapt.training(entry.shots, entry.seed)
    about = {"task": adapt.task, "shots": entry.shots, "seed": entry.seed, "settings": settings.written()}
    inputs = {"start": _start_step(study, entry.start), "lesson": lesson_step(adapt.task)}
    if adapt.keep != "model":
        about |= {"keep": adapt.keep}
    if adapt.replay:
        about |= {"replay": adapt.replay}
        inputs |= {"replay": f"instructions {LESSON}"}
    return Step(entry.step, "adapt", about, inputs, _training(settings))


def _start_step(study: Study, start: str) -> str:
    """Return the step that makes what an adaptation starts from: a parent, the ancestor, a control, or a merge."""
    if start in study.ends:
        return _parent_step(study, start)
    return start if start == ANCESTOR or start in study.controls else f"merge {start}"


def _parent_step(study: Study, role: str) -> str:
    parent = study.ends[role]
    return ANCESTOR if parent.learn is None and parent.model is None else role


def _how(parent: Parent | Control) -> str:
    if parent.learn is None:
        return ""
    return "continued pre-training" if parent.learn in ("notes", "texts") else "supervised fine-tuning"


def _training(settings: Training) -> float:
    return settings.steps * settings.batch * settings.length / TOKENS_A_SECOND
