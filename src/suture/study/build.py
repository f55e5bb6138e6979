"""Study -> graph of steps, and the list of its models: what each is, which step makes it, which tasks it answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from suture.study.graph import Graph, Step
from suture.study.schema import ANCESTOR, CLINICAL, GENERAL, LESSONS, SOURCES, Merge, Parent, Study, Training
from suture.study.scores import EVALUATION, REPLICATE
from suture.study.texts import LESSON, TEST, digest_files, expand, mts_files

Role = Literal["ancestor", "general", "clinical", "merge", "adapted", "replicate"]
ROUNDINGS = ("stochastic", "nearest")
# Seconds on one core at 135 million parameters, which serve to order the steps and nothing else.
SECONDS = {"ifeval": 4.0, "contrast": 0.3, "choice": 0.8, "generation": 3.0, "likelihood": 0.8, "drift": 1.0}
TOKENS_A_SECOND = 70


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a study. step makes it; start is the label that it was made from; nominal is NaN off the path."""

    label: str
    role: Role
    step: str
    method: str
    nominal: float
    tasks: tuple[str, ...]
    start: str = ""
    gated: bool = False
    merge: Merge | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """A study as work: its graph, its models in the order of the tables, the steps to run before anything is promised."""

    graph: Graph
    entries: tuple[Entry, ...]
    planning: Graph


def build(study: Study) -> Built:
    """Return the graph of a study. Raises UsageError and BadInputError for data or models that are not there."""
    entries = tuple(_entries(study))
    quick = [*_texts(study), *_floors(study)]
    steps = [*quick, *_models(study), *_measures(study, entries)]
    return Built(Graph(steps), entries, Graph(quick))


def _entries(study: Study) -> Iterator[Entry]:
    every = tuple(study.evaluation.tasks)
    own = ANCESTOR if study.ancestor is not None else ""
    if study.evaluation.ancestor:
        yield Entry(ANCESTOR, "ancestor", ANCESTOR, "", math.nan, study.evaluation.ancestor)
    general, clinical = study.parents.general, study.parents.clinical
    yield Entry(
        GENERAL, "general", _parent_step(GENERAL, general), _how(general), 0.0, every, own if general.learn else ""
    )
    for merge in study.merges:
        step, nominal = f"merge {merge.label}", math.nan if merge.at is None else merge.at
        yield Entry(merge.label, "merge", step, merge.method, nominal, every, gated=True, merge=merge)
    yield Entry(
        CLINICAL,
        "clinical",
        _parent_step(CLINICAL, clinical),
        _how(clinical),
        1.0,
        every,
        own if clinical.learn else "",
    )
    if study.adapt is not None:
        how = f"{'LoRA' if study.adapt.settings.lora_rank else 'supervised'}, {study.adapt.shots} shots"
        for start in study.adapt.starts:
            label = f"{start}, {study.adapt.shots} shots"
            gated = start not in (GENERAL, CLINICAL)
            yield Entry(label, "adapted", f"adapt {start}", how, math.nan, every, start, gated)
    if study.evaluation.replicate:
        step = _parent_step(GENERAL, general)
        yield Entry(REPLICATE, "replicate", step, "", math.nan, study.evaluation.replicate, GENERAL)


def _texts(study: Study) -> Iterator[Step]:
    data = study.data
    if data.clinic is not None:
        for part in (LESSON, TEST):
            yield Step(f"clinic {part}", "clinic", {**data.clinic.model_dump(), "part": part})
    if data.instructions is not None:
        for part in (LESSON, TEST):
            yield Step(f"instructions {part}", "instructions", {**data.instructions.model_dump(), "part": part})
    if data.mts_dialog is not None:
        from pathlib import Path

        folder = Path(expand(data.mts_dialog.path))
        about = {**data.mts_dialog.model_dump(exclude={"path"}), "folder": str(folder), "files": mts_files(folder)}
        for part in (LESSON, TEST):
            yield Step(f"mts_dialog {part}", "mts_dialog", {**about, "part": part})
    tasks = study.evaluation.tasks
    if "ifeval" in tasks:
        yield Step("prompts", "prompts", {"n": tasks["ifeval"].n, **_prompts(tasks["ifeval"].path)})
    if "drift" in tasks:
        turns = sorted({_source(name) for name in tasks if name in ("contrast", "clinic_summary", "mts_section")})
        yield Step("drift records", "drift", {"n": tasks["drift"].n}, {name: name for name in turns})


def _prompts(path: str | None) -> dict[str, str]:
    from pathlib import Path

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
    for role, parent in ((GENERAL, study.parents.general), (CLINICAL, study.parents.clinical)):
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
        for rounding in (
            ROUNDINGS if study.record_rounding and merge.at is not None and merge.method == "linear" else ()
        ):
            written = {"dtype": study.record_rounding, "rounding": rounding}
            yield Step(rounding_step(merge, rounding), "rounding", {"merge": about, "written": written}, inputs, 2)
    for start in study.adapt.starts if study.adapt else ():
        yield _adaptation(study, start)


def _measures(study: Study, entries: tuple[Entry, ...]) -> Iterator[Step]:
    runs = _runs(study)
    if "drift" in runs:
        for role, parent in ((GENERAL, study.parents.general), (CLINICAL, study.parents.clinical)):
            step = _parent_step(role, parent)
            tokens = study.evaluation.task("drift").max_new_tokens
            inputs = {"model": step, "drift": "drift records"}
            yield Step(f"answers {role}", "answers", {"new_tokens": tokens}, inputs, 20)
    probes = tuple(dict.fromkeys((study.gate.instruction[0], study.gate.notes[0])))
    ends = [entry for entry in entries if entry.role in ("general", "clinical")]
    for entry in ends:
        yield _evaluation(study, entry, f"probe {entry.label}", probes)
    about = {"labels": [entry.label for entry in ends], **study.gate.model_dump(mode="json")}
    yield Step("gate", "gate", about, {EVALUATION + entry.label: f"probe {entry.label}" for entry in ends}, 5)
    for entry in entries:
        yield _evaluation(study, entry, f"evaluate {entry.label}", entry.tasks)
    inputs = {EVALUATION + entry.label: f"evaluate {entry.label}" for entry in entries}
    parameters = {
        "labels": [GENERAL, CLINICAL, *(e.label for e in entries if e not in ends)],
        "margins": [asdict(margin.margin()) for margin in study.margins],
    }
    yield Step("compare", "compare", parameters, inputs | {"floors": "floors"}, 20)


def rounding_step(merge: Merge, rounding: str) -> str:
    """Return the name of the step that records a merge's rounding."""
    return f"round {merge.label} {rounding}"


def _evaluation(study: Study, entry: Entry, name: str, tasks: tuple[str, ...]) -> Step:
    runs = {task: run for task, run in _runs(study).items() if task in tasks}
    inputs = {"model": entry.step} | {run["source"]: run["source"] for run in runs.values()}
    if "drift" in runs:
        inputs |= {f"answers: {role}": f"answers {role}" for role in (GENERAL, CLINICAL)}
    if entry.gated:
        inputs["gate"] = "gate"
    about = {"tasks": runs, "replicate": entry.role == "replicate", "batch_size": study.evaluation.batch_size}
    cost = sum((run["n"] or 200) * SECONDS.get(study.evaluation.task(task).kind, 1.0) for task, run in runs.items())
    return Step(name, "evaluate", about, inputs, cost)


def _runs(study: Study) -> dict[str, dict[str, Any]]:
    """Return for each task how much of it is run, and the step that writes its items."""
    runs = study.evaluation.tasks.items()
    return {name: {"n": run.n, "new_tokens": run.new_tokens, "source": _source(name)} for name, run in runs}


def _source(task: str) -> str:
    return {"ifeval": "prompts", "drift": "drift records"}.get(task) or f"{SOURCES[task]} {TEST}"


def _ends(study: Study, merge: Merge) -> dict[str, str]:
    ends = {
        GENERAL: _parent_step(GENERAL, study.parents.general),
        CLINICAL: _parent_step(CLINICAL, study.parents.clinical),
    }
    return ends | ({ANCESTOR: ANCESTOR} if merge.needs_ancestor else {})


def _adaptation(study: Study, start: str) -> Step:
    assert study.adapt is not None
    own: Mapping[str, str] = {
        GENERAL: _parent_step(GENERAL, study.parents.general),
        CLINICAL: _parent_step(CLINICAL, study.parents.clinical),
    }
    about = study.adapt.model_dump(mode="json", exclude={"starts"})
    inputs = {"start": own.get(start, f"merge {start}"), "lesson": f"{SOURCES[study.adapt.task]} {LESSON}"}
    inputs |= {} if start in own else {"gate": "gate"}
    return Step(f"adapt {start}", "adapt", about, inputs, _training(study.adapt.settings))


def _parent_step(role: str, parent: Parent) -> str:
    return ANCESTOR if parent.learn is None and parent.model is None else role


def _how(parent: Parent) -> str:
    if parent.learn is None:
        return ""
    return "continued pre-training" if parent.learn == "notes" else "supervised fine-tuning"


def _training(settings: Training) -> float:
    return settings.steps * settings.batch * settings.length / TOKENS_A_SECOND
