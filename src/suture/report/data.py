"""All that a report shows, as plain data: filled by a study, drawn by the terminal and by the HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from suture.compare.gate import Gate
    from suture.compare.parity import MetricCurves
    from suture.compare.power import PlanningRow
    from suture.compare.verdicts import Comparison, Contrast, Score

Role = Literal["ancestor", "general", "clinical", "merge", "adapted", "replicate"]
FactState = Literal["found", "missing", "fabricated"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model of the report.

    label: its name in the comparison. nominal and realised: the coefficient towards the clinical parent, in [0, 1] on
    the linear path (0 = general parent, 1 = clinical parent), NaN where the recipe has none. recipe: YAML text, ""
    where the model was not merged. start: the label of the model that an adapted or replicate one came from, else "".
    """

    label: str
    role: Role
    method: str
    nominal: float
    realised: float
    weights_digest: str
    recipe: str = ""
    note: str = ""
    start: str = ""


@dataclass(frozen=True, slots=True)
class PathPoint:
    """One stop of the slider: an evaluated model on the linear path and its coefficient (0 = general, 1 = clinical)."""

    model: str
    nominal: float
    realised: float


@dataclass(frozen=True, slots=True)
class FactMark:
    """One fact of the record as an answer treats it. kind: "drug", "dose" and so on; text: the fact in words."""

    kind: str
    text: str
    state: FactState


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """What every model answered to one item. scores maps label -> metric -> value; facts maps label -> marks."""

    task: str
    item_id: str
    prompt: str
    reference: str
    answers: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    facts: Mapping[str, tuple[FactMark, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RealisedRow:
    """A merge of the linear path as written: its nominal coefficient, output dtype, rounding, realised coefficient."""

    nominal: float
    dtype: str
    rounding: str
    realised: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an auditor needs to make the report again.

    study: the study file's text and study_digest its digest. versions: package -> version. manifests: label -> digest
    of its manifest. commands: what to type, in order.
    """

    study: str
    study_digest: str
    versions: Mapping[str, str]
    manifests: Mapping[str, str]
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportData:
    """The whole report.

    synthetic: the records are made up. notes: sentences about how the models came to be. path: the slider's stops, by
    rising coefficient. task_axes maps every task to its axis ("instruction", "medical", "clinical", "probe").
    replicates: the contrasts of a model with itself, evaluated twice. floors: the scores of answers that read nothing,
    under the floor's name ("constant", "copy", "nearest", "chance"). curves: learning curves over shots, where drawn.
    """

    title: str
    synthetic: bool
    notes: tuple[str, ...]
    models: tuple[ModelCard, ...]
    path: tuple[PathPoint, ...]
    comparison: Comparison
    task_axes: Mapping[str, str]
    planning: tuple[PlanningRow, ...]
    answers: tuple[AnswerSet, ...]
    gate: Gate
    realised: tuple[RealisedRow, ...]
    provenance: Provenance
    replicates: tuple[Contrast, ...] = ()
    floors: tuple[Score, ...] = ()
    curves: tuple[MetricCurves, ...] = ()

    @property
    def known_floors(self) -> tuple[Score, ...]:
        """The scores of the floors: the study's own, else those that the comparison holds."""
        return self.floors or self.comparison.floors

    def card(self, label: str) -> ModelCard | None:
        """Return the card of `label`, None where the report has none."""
        return next((card for card in self.models if card.label == label), None)

    def parent_name(self, label: str) -> str:
        """Return how a sentence calls a parent: "the general parent", "the clinical parent", or its label."""
        card = self.card(label)
        return f"the {card.role} parent" if card and card.role in ("general", "clinical") else label
