"""A study's finished steps -> what a reader gets: the plan before the run, the report after it, links to the models."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from suture.compare.parity import MetricCurves, curves_text, read_curves
from suture.compare.verdicts import Comparison
from suture.report.data import AnswerSet, ModelCard, PathPoint, Provenance, RealisedRow, ReportData
from suture.study.answers import answer_sets
from suture.study.build import OVERLAP, ROUNDINGS, Built, Entry, curves_step, evaluation_step, rounding_step
from suture.study.models import weights_of
from suture.study.overlap import overlap_notes
from suture.study.schema import Study
from suture.study.scores import floor_folders, read_compared, read_gate
from suture.study.sections import ANCESTOR, CLINICAL, GENERAL
from suture.study.store import Done, Store
from suture.study.tasks import source_step

if TYPE_CHECKING:
    from suture.compare.power import PlanningRow

PACKAGES = ("suture", "torch", "transformers", "numpy", "numba", "peft", "lm_eval", "sacrebleu", "nltk")
CURVES_FILE = "curves.json"
NO_COMPARISON = Comparison((), (), {}, (), (), (), ())


@dataclass(frozen=True, slots=True)
class Finished:
    """A study and what has been computed of it."""

    study: Study
    built: Built
    store: Store
    found: Mapping[str, Done]

    def folder(self, step: str) -> Path:
        """Return the folder of a finished step."""
        return self.store.folder(self.built.graph[step], self.found[step].key)

    def manifest(self, step: str) -> dict[str, Any]:
        """Return the manifest of a merge or of a rounding."""
        folder = self.folder(step)
        path = folder / "manifest.json"
        return dict(json.loads((path if path.is_file() else folder / "model" / "manifest.json").read_text()))


def planned(done: Finished) -> ReportData:
    """Return a report of nothing but the plan: what each axis can show at this n.

    Needs the planning steps only; where these have not run, axes whose n the study states are planned without floors.
    """
    from suture.report.bare import bare_report

    planning = _planning(done) if "floors" in done.found else _stated(done.study)
    return replace(bare_report(done.study.title, NO_COMPARISON), planning=planning)


def _stated(study: Study) -> tuple[PlanningRow, ...]:
    from suture.compare.power import plan_margins

    sizes = {task: (run.n, run.n) for task, run in study.evaluation.tasks.items() if run.n is not None}
    return plan_margins([entry.margin() for entry in study.margins if entry.task in sizes], sizes)


def reported(done: Finished) -> ReportData:
    """Return the whole report of a finished study."""
    from suture.compare.axes import every_floor

    comparison = read_compared(done.folder("compare"))
    cards = tuple(_cards(done))
    return ReportData(
        title=done.study.title,
        synthetic=done.study.synthetic,
        notes=(*done.study.notes, *_overlap(done), *(f"{card.label}: {card.note}" for card in cards if card.note)),
        models=cards,
        path=_path(cards, comparison),
        comparison=comparison,
        task_axes={name: done.study.known[name].axis for name in done.study.evaluation.tasks},
        planning=_planning(done),
        answers=tuple(_answers(done)),
        gate=read_gate(done.folder("gate")),
        realised=tuple(_realised(done)),
        provenance=_provenance(done),
        floors=tuple(every_floor(floor_folders(done.folder("floors")))),
        curves=tuple(_curves(done)),
    )


def publish(done: Finished, data: ReportData, *, text: bool = True) -> tuple[Path, Path]:
    """Write report.html, comparison.json, curves.json where drawn; link the models; return the first two paths."""
    from suture.report.html import write_report
    from suture.report.private import write_private

    root = done.store.root
    report, comparison = root / "report.html", root / "comparison.json"
    write_report(report, data, text=text)
    write_private(comparison, (done.folder("compare") / "comparison.json").read_text(encoding="utf-8"))
    if data.curves:
        write_private(root / CURVES_FILE, curves_text(data.curves))
    (root / "models").mkdir(exist_ok=True)
    for entry in done.built.entries:
        model = done.folder(entry.step) / "model"
        if entry.role != "replicate" and entry.examples is None and model.exists():
            _link(root / "models" / entry.label.replace(",", "").replace(" ", "-"), model)
    return report, comparison


def _overlap(done: Finished) -> tuple[str, ...]:
    return overlap_notes(done.folder(OVERLAP), done.study.data.allow_overlap) if OVERLAP in done.found else ()


def _curves(done: Finished) -> Iterator[MetricCurves]:
    """Yield all learning curves; where there are those of several tasks, each says to which it was adapted."""
    for adapt in done.study.adapt:
        step = curves_step(done.study, adapt)
        if not adapt.name and step in done.found:
            for curves in read_curves(done.folder(step) / CURVES_FILE):
                yield replace(curves, adapted=done.study.called(adapt))


def _planning(done: Finished) -> tuple[PlanningRow, ...]:
    from suture.compare.axes import score_floors
    from suture.compare.power import plan_margins

    folder = done.folder("floors")
    sizes = {task: (n, clusters) for task, (n, clusters) in json.loads((folder / "sizes.json").read_text()).items()}
    margins = [entry.margin() for entry in done.study.margins]
    return plan_margins(margins, sizes, score_floors(floor_folders(folder)))


def _answers(done: Finished) -> Iterator[AnswerSet]:
    shown = [entry for entry in done.built.entries if entry.role != "replicate" and done.built.is_evaluated(entry)]
    folders = {entry.label: done.folder(evaluation_step(entry)) for entry in shown}
    for name in done.study.evaluation.tasks:
        yield from answer_sets(name, done.folder(source_step(name)), folders)


def _cards(done: Finished) -> Iterator[ModelCard]:
    seen: dict[str, str] = {}
    for entry in done.built.entries:
        if entry.role == "replicate":
            continue
        digest = weights_of(done.folder(entry.step)) or _evaluated_digest(done, entry)
        notes = list(_card_notes(done, entry, seen.setdefault(digest, entry.label)))
        yield ModelCard(
            label=entry.label,
            role=entry.role,
            method=entry.method,
            nominal=entry.nominal,
            realised=_coefficient(done, entry),
            weights_digest=digest,
            recipe=_recipe(done, entry),
            note=" ".join(notes),
            start=entry.start,
        )


def _evaluated_digest(done: Finished, entry: Entry) -> str:
    """Return the digest of a model that is kept as an adapter and was made for its evaluation."""
    if not done.built.is_evaluated(entry):
        return ""
    folder = done.folder(evaluation_step(entry))
    return str(json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["weights_digest"])


def _card_notes(done: Finished, entry: Entry, first: str) -> Iterator[str]:
    if entry.merge is not None:
        manifest = done.manifest(entry.step)
        if manifest["arc_tensors"] is not None:
            yield f"{manifest['arc_tensors']} of {len(manifest['tensors'])} tensors took the arc."
    if entry.examples is not None:
        yield f"The weights of {entry.start}: {entry.shots} training records stand before each item as examples."
    elif first != entry.label:
        yield f"The same weights as {first}, hence not evaluated twice."
    if not done.built.is_evaluated(entry):
        yield "Not evaluated: the gate was not passed."


def _coefficient(done: Finished, entry: Entry) -> float:
    if entry.merge is None or math.isnan(entry.nominal):
        return entry.nominal
    found = (done.manifest(entry.step)["realised"] or {}).get("coefficient")
    return math.nan if found is None else float(found)


def _recipe(done: Finished, entry: Entry) -> str:
    if entry.merge is None:
        return ""
    return entry.merge.recipe({name: name for name in (GENERAL, CLINICAL, ANCESTOR)}, dtype=done.study.dtype).to_yaml()


def _path(cards: tuple[ModelCard, ...], comparison: Comparison) -> tuple[PathPoint, ...]:
    points = [card for card in cards if not math.isnan(card.nominal) and card.label in comparison.models]
    return tuple(PathPoint(c.label, c.nominal, c.realised) for c in sorted(points, key=lambda card: card.nominal))


def _realised(done: Finished) -> Iterator[RealisedRow]:
    for entry in done.built.entries:
        if entry.merge is None or entry.merge.method != "linear" or math.isnan(entry.nominal):
            continue
        yield RealisedRow(entry.nominal, done.study.dtype, "", _coefficient(done, entry))
        for rounding in ROUNDINGS if done.study.record_rounding else ():
            found = done.manifest(rounding_step(entry.merge, rounding))["realised"]["coefficient"]
            value = math.nan if found is None else found
            yield RealisedRow(entry.nominal, str(done.study.record_rounding), rounding, value)


def _provenance(done: Finished) -> Provenance:
    text = done.study.to_yaml()
    root = done.store.root.name
    manifests = {
        entry.label: blake3((done.folder(entry.step) / "model" / "manifest.json").read_bytes()).hexdigest()
        for entry in done.built.entries
        if entry.merge is not None and entry.step in done.found
    }
    return Provenance(
        study=text,
        study_digest=blake3(text.encode()).hexdigest(),
        versions={"python": platform.python_version(), **dict(_versions())},
        manifests=manifests,
        commands=(f"suture study run {root}/study.yaml --out {root}", f"suture digest {root}/models/general"),
    )


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _link(link: Path, model: Path) -> None:
    """Point `link` at `model`, relative to itself, so that the study's folder may move."""
    staging = link.with_name(f".{link.name}.partial")
    staging.unlink(missing_ok=True)
    staging.symlink_to(Path("..") / model.relative_to(link.parent.parent))
    staging.replace(link)
