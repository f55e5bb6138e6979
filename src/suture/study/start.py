"""From two models and a task file to a study file: the pair is checked, the task's data counted, the study drafted.

Every number that a user must own (margins, shots, sizes) stands in the draft with its reason or a word that asks for
one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from suture.errors import IncompatibleError, Problem, refuse

if TYPE_CHECKING:
    from suture.inspect import Inspection
    from suture.plan import Plan
    from suture.tasks.own import OwnTask

GRID = (16, 64, 256)
SEEDS = (0, 1, 2)
MOST = 100  # test items of one's own that are asked
QUESTIONS = {"medqa": 200, "medmcqa": 200, "pubmedqa": 200}
PROMPTS = 100
LARGE = 1e9  # parameters from which on the clinical group's recipe is taken
FAR, NEAR = 1.0, 1e-4  # relative distances that two models of one ancestor hardly have


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. good: None where it is no more than a fact."""

    what: str
    found: str
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models that can be merged, and their common ancestor where one was named: references and what was seen."""

    general: str
    clinical: str
    ancestor: str | None
    plan: Plan
    geometry: Inspection

    @property
    def parameters(self) -> int:
        """Parameters of the merged model."""
        return sum(math.prod(job.shape) for job in self.plan.jobs)

    @property
    def branches(self) -> bool:
        """Whether an ancestor was named and both models have left it, so that there are two task vectors."""
        return self.geometry.whole.task_cosine is not None and not math.isnan(self.geometry.whole.task_cosine)

    @property
    def narrow(self) -> bool:
        """Whether the general model is stored in 16 bits."""
        return self.plan.out_dtype in ("bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Taught:
    """A task of one's own: its file and keys; test items, rows to learn from, rows left out as they repeat a test."""

    path: Path
    own: OwnTask
    tested: int
    learnt: int
    left: int


def look_at_pair(general: str, clinical: str, ancestor: str | None, *, online: bool = False) -> Pair:
    """Check that two models can be merged and read how they lie to one another, in one pass over their weights.

    Raises IncompatibleError with everything that does not fit, and where both hold the same weights.
    """
    from suture.checkpoint.resolve import resolve_model
    from suture.inspect import inspect_models
    from suture.plan import make_plan
    from suture.recipe import parse_recipe

    entries = [{"model": model, "parameters": {"weight": 0.5}} for model in (general, clinical)]
    roles = {"general": general, "clinical": clinical}
    recipe = parse_recipe(yaml.safe_dump({"merge_method": "linear", **roles, "models": entries}), "the pair")
    plan = make_plan(recipe, online=online)
    folders = [resolve_model(name, online=online) for name in (general, clinical)]
    base = resolve_model(ancestor, online=online) if ancestor else None
    geometry = inspect_models(folders[0], folders[1], base)
    if geometry.whole.distance == 0:
        got = "the same weights"
        refuse(IncompatibleError, [Problem("Two models to merge must differ.", got, f"{general}, {clinical}")])
    return Pair(general, clinical, ancestor, plan, geometry)


def look_at_task(path: Path) -> Taught:
    """Read a task file and its data; rows to learn from that repeat the test are counted. Raises as `read_own_task`."""
    from suture.adapt.lessons import own_lesson, without_leaks
    from suture.evaluate.textscores import NAMES
    from suture.tasks.own import is_taught, items_of, load_own_task

    own = load_own_task(path, NAMES)
    if not is_taught(own):
        return Taught(path, own, len(items_of(own)), 0, 0)
    lesson = own_lesson(own, "train", str(path))
    clear, left = without_leaks(lesson)
    return Taught(path, own, len(lesson.test), len(clear.records), left)


def findings(pair: Pair, task: Taught) -> Iterator[Finding]:
    """Yield what was seen of the pair and of the task, in the order in which people ask."""
    from suture.checkpoint.chat import chat_template_of
    from suture.checkpoint.digest import tokenizer_digest

    folders = [checkpoint.path for checkpoint in pair.plan.checkpoints[:2]]
    jobs = pair.plan.jobs
    yield Finding("shapes", f"{len(jobs)} tensors, {pair.parameters / 1e6:,.1f} M parameters, all fit", True)
    same = tokenizer_digest(folders[0]) == tokenizer_digest(folders[1])
    told = "the same files" if same else f"differ; the merge takes those of {pair.plan.donor}"
    yield Finding("tokenizer and chat template", told, True if same else None)
    for name, folder in zip(("general", "clinical"), folders, strict=True):
        if chat_template_of(folder) is None:
            yield Finding(f"chat template of the {name} model", "none: it is asked in plain text", None)
    yield from (Finding("the plan notes", note) for note in pair.plan.notes)
    yield from _distances(pair)
    train = f"{task.learnt} rows to learn from"
    train += f", {task.left} left out since they repeat the test" if task.left else ""
    yield Finding(f"task {task.own.name}", f"{task.tested} test items, {train}", task.tested > 0)


def _distances(pair: Pair) -> Iterator[Finding]:
    whole = pair.geometry.whole
    good = NEAR < whole.distance < FAR
    told = f"{whole.distance:.2%} of the general model's norm, cosine {whole.cosine:.6f}"
    yield Finding("distance", told + ("" if good else "; two models of one ancestor hardly lie so"), good)
    if pair.ancestor and not pair.branches:
        yield Finding("task vectors", "one of the models is the ancestor: there is one task vector, not two")
    elif whole.task_cosine is not None and whole.sign_conflict is not None:
        conflict = f"cosine {whole.task_cosine:.3f}, {whole.sign_conflict:.1%} of the signs in conflict"
        yield Finding("task vectors", conflict)
    if pair.narrow:
        kept = ", ".join(f"{whole.realised[index]:.2f}" for index in (2, 4, 6))
        told = f"0.3, 0.5, 0.7 would be {kept} if rounded to nearest; stochastic rounding, the default, keeps them"
        yield Finding(f"coefficients in {pair.plan.out_dtype}", told)
    yield Finding("slerp", f"leaves the straight line on {whole.arcs} of {whole.tensors} tensors")


def draft(pair: Pair, task: Taught, out: Path, data: Path | None) -> str:
    """Return the text of the study file that is to stand at `out`. data: the folder of data sets, for suites' tasks."""
    content = _content(pair, task, out, data)
    comments = _comments(pair, task)
    written = [comments.get(key, "") + _block(key, value) for key, value in content.items()]
    names = f"{Path(pair.general).name} and {Path(pair.clinical).name}"
    return "\n".join([f"# {names} on {task.own.name}: read every line before the first run.", *written])


def _block(key: str, value: Any) -> str:
    """Return one key as YAML: what fits into a line in one, but for margins, which are to be read and changed."""
    flow = None if isinstance(value, dict | list) and key != "margins" else False
    return yaml.safe_dump({key: value}, sort_keys=False, width=110, default_flow_style=flow)


def _comments(pair: Pair, task: Taught) -> dict[str, str]:
    shots = "Few-shot adaptation to the task, from three starts; remove it to merge alone." if task.learnt else ""
    return {
        key: f"# {text}\n"
        for key, text in {
            "merges": "The way from general (0) to clinical (1)."
            + (" Task vectors are weighed against the ancestor." if pair.branches else ""),
            "adapt": shots,
            "gate": "Both must tell the parents apart, or a merge makes no sense; with required: true it ends there.",
            "margins": "How much may be lost? State it, with your reason, before the first run: it decides.",
        }.items()
        if text
    }


def _content(pair: Pair, task: Taught, out: Path, data: Path | None) -> dict[str, Any]:
    own, metric = task.own, "accuracy" if task.own.options else task.own.metrics[0]
    asked = _asked(task, data)
    content: dict[str, Any] = {
        "name": own.name.replace("_", "-"),
        "title": f"{Path(pair.general).name} and {Path(pair.clinical).name}, merged and asked {own.name}",
        **({"dtype": "bfloat16"} if pair.narrow else {}),
        **({"ancestor": {"model": _absolute(pair.ancestor)}} if pair.ancestor else {}),
        "data": _sources(asked, data),
        "tasks": [os.path.relpath(task.path.absolute(), out.absolute().parent)],
        "parents": {"general": {"model": _absolute(pair.general)}, "clinical": {"model": _absolute(pair.clinical)}},
        "merges": list(_merges(pair)),
    }
    shots = [count for count in GRID if count <= task.learnt] or ([task.learnt] if task.learnt >= 4 else [])
    if shots:
        content["adapt"] = _adaptation(pair, own.name, shots)
    content["evaluation"] = {"tasks": asked, **({"ancestor": ["contrast"]} if pair.ancestor else {})}
    content["gate"] = {"instruction": ["contrast", "contrast"], "notes": [own.name, metric], "required": False}
    content["margins"] = [_CONTRAST, _own_margin(own, metric)]
    return content


def _asked(task: Taught, data: Path | None) -> dict[str, dict[str, int]]:
    from suture.data.prepare import problems_of
    from suture.errors import SutureError
    from suture.evaluate.packaged import ifeval_prompts

    asked: dict[str, dict[str, int]] = {"contrast": {}}
    try:
        ifeval_prompts()
        asked["ifeval"] = {"n": PROMPTS}
    except SutureError:
        pass  # the prompts are those of an optional package
    there = {name: {"n": n} for name, n in QUESTIONS.items() if data is not None and not problems_of(name, data)}
    asked |= there or {"clinic_mcq": {"n": 48}}
    return asked | {task.own.name: {"n": min(task.tested, MOST)}}


def _sources(asked: dict[str, dict[str, int]], data: Path | None) -> dict[str, Any]:
    sources: dict[str, Any] = {"instructions": {"seed": 1}}
    if "clinic_mcq" in asked:
        sources["clinic"] = {"seed": 1, "train": 1, "test": 64}
    if data is not None and any(name in QUESTIONS for name in asked):
        sources["folder"] = str(data.absolute())
    return sources


def _merges(pair: Pair) -> Iterator[dict[str, Any]]:
    yield from ({"method": "linear", "at": at} for at in (0.25, 0.5, 0.75))
    if pair.geometry.whole.arcs:
        yield {"method": "slerp", "at": 0.5}
    if pair.branches:
        yield {"method": "task_arithmetic", "weights": [1.0, 1.0]}
        yield {"method": "ties", "weights": [1.0, 1.0]}


def _adaptation(pair: Pair, task: str, shots: Sequence[int]) -> dict[str, Any]:
    from suture.adapt.presets import resolved

    preset = "clinical-lora" if pair.parameters >= LARGE else "small-lora"
    steps = {count: resolved(preset, count, {})["steps"] for count in shots}
    settings = resolved(preset, shots[0], {"steps": steps[shots[0]]})
    return {
        "task": task,
        "starts": ["general", "linear 0.5", "clinical"],
        "shots": list(shots),
        "seed": list(SEEDS),
        "steps": steps,
        "keep": "adapter",
        "settings": {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()},
    }


_CONTRAST = {
    "axis": "instruction", "task": "contrast", "metric": "contrast", "value": 0.85,
    "reason": "The margin of Suture's embedded study; state your own.",
    "planning_sd": 3.5, "planning_source": "the embedded study: 210 pairs, clustered by topic",
}  # fmt: skip


def _own_margin(own: OwnTask, metric: str) -> dict[str, Any]:
    points = metric.startswith("rouge") or metric in ("bleu", "meteor", "bertscore_f1")
    value, spread = (2.0, 12.0) if points else (0.05, 0.45)
    return {
        "axis": own.axis if own.axis in ("instruction", "medical", "clinical") else "clinical",
        "task": own.name, "metric": metric, "value": value,
        "reason": "A guess to begin with; state your own.",
        "planning_sd": spread, "planning_source": "a guess to begin with; a pilot tells",
    }  # fmt: skip


def _absolute(model: str) -> str:
    """Return a model's reference as a study names it: a folder by its absolute path, a hub id as it is."""
    folder = Path(model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else model
