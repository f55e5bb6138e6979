"""Further scores of written answers: BERTScore, installed plug-ins, composites; added to items that are there already.

They need weights or licences that a machine may lack, so they are no part of a task's key: the answers are kept, and
when an encoder or a plug-in comes later, its scores are added without asking the model again. What cannot be computed
has no column and stands in meta.json with the reason:

    "further": {"signatures": {metric: how it is computed}, "not computed": {metric: what it needs}}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suture.data.records import Record
from suture.evaluate.items import ItemRow, extend_rows, read_meta, read_rows
from suture.evaluate.metrics import bertscore, plugins
from suture.evaluate.scoring.composites import Composite, choose, load_composites
from suture.evaluate.scoring.protocols import TEXT_METRICS
from suture.evaluate.scoring.texts import TextOptions, compute
from suture.evaluate.workload import Workload

BERTSCORE = "bertscore_f1"
FIELD = "further"


@dataclass(frozen=True, slots=True)
class Further:
    """What is scored beside a task's own metrics: the encoder of BERTScore, if any, plug-ins by name, composites."""

    encoder: bertscore.Encoder | None
    plugins: Mapping[str, plugins.Plugin]
    composites: tuple[Composite, ...]

    def signatures(self) -> dict[str, str]:
        """Return metric -> library, version and settings, for what can be computed from the answers."""
        found = {BERTSCORE: bertscore.signature(self.encoder)} if self.encoder else {}
        return found | {name: plugin.signature() for name, plugin in self.plugins.items()}

    def lacking(self) -> dict[str, str]:
        """Return what cannot be computed here and what it takes: BERTScore, the composites' parts, then composites."""
        parts = dict.fromkeys([BERTSCORE, *(part for found in self.composites for part in found.metrics)])
        needs = {name: _absent(name) for name in parts if self._is_absent(name)}
        whole = {found.name: [part for part in found.metrics if part in needs] for found in self.composites}
        return needs | {name: f"needs {', '.join(missing)}" for name, missing in whole.items() if missing}

    def _is_absent(self, metric: str) -> bool:
        if metric == BERTSCORE:
            return self.encoder is None
        return metric not in TEXT_METRICS and metric not in self.plugins


def plan_further(encoder: Path | None = None, layer: int | None = None, composite_file: Path | None = None) -> Further:
    """Return what will be scored; the encoder may be named by the environment, the file adds or redefines composites.

    Raises what is wrong with the encoder, a plug-in or the file, before anything is computed.
    """
    installed = {name: plugin for name in plugins.names() if (plugin := plugins.find(name)) is not None}
    known = load_composites(composite_file)
    chosen = choose(tuple(known), known, (*TEXT_METRICS, *plugins.names()))
    return Further(bertscore.find_encoder(encoder, layer), installed, tuple(chosen))


def is_written(load: Workload) -> bool:
    """Return whether a task's answers are texts that are compared with a reference."""
    return bool(set(load.task.metrics) & set(TEXT_METRICS))


def add_scores(
    folder: Path, records: Iterable[Record], further: Further, answers: Callable[[], Mapping[str, str]] | None = None
) -> None:
    """Add the scores that a finished task folder lacks; does nothing where all of them are there under one signature.

    records: the task's items, whose targets are the references. answers gives item id -> answer where the rows hold
    none. Scores that are there and not asked for stay.
    """
    rows, meta = read_rows(folder), read_meta(folder)
    held = dict((meta.get(FIELD) or {}).get("signatures", {}))
    wanted = further.signatures()
    fresh = {name for name, signature in wanted.items() if held.get(name) != signature}
    targets = {record.id: record.target for record in records}
    given = answers() if answers is not None and fresh else {row.item_id: row.response for row in rows}
    texts = [(given[row.item_id], targets[row.item_id]) for row in rows]
    columns = {
        name: compute(name, [one for one, _ in texts], [two for _, two in texts], TextOptions(further.encoder))[0]
        for name in sorted(fresh)
    }
    scored = [
        replace(row, scores={**row.scores, **{name: values[i] for name, values in columns.items()}})
        for i, row in enumerate(rows)
    ]
    scored, means = _with_composites(scored, further.composites)
    signatures = {**held, **wanted, **means}
    found = {"signatures": signatures, "not computed": _not_computed(further, signatures, scored)}
    if found != meta.get(FIELD):
        extend_rows(folder, scored, {**meta, FIELD: found})


def _with_composites(rows: Sequence[ItemRow], composites: Iterable[Composite]) -> tuple[list[ItemRow], dict[str, str]]:
    """Return the rows with each composite that any item has, and how those are computed."""
    found, how = list(rows), {}
    for composite in composites:
        values = [composite.value(row.scores) for row in rows]
        if any(map(math.isfinite, values)):
            how[composite.name] = f"{composite.formula()} of this task's scores, {composite.source}"
            found = [
                replace(row, scores={**row.scores, composite.name: value})
                for row, value in zip(found, values, strict=True)
            ]
    return found, how


def _not_computed(further: Further, signatures: Mapping[str, str], rows: Sequence[ItemRow]) -> dict[str, Any]:
    """Return metric -> what it needs, for the rest; a task that measures less than a composite's parts lacks those."""
    reasons = {name: why for name, why in further.lacking().items() if name not in signatures}
    measured = {name for row in rows for name, value in row.scores.items() if math.isfinite(value)}
    for composite in further.composites:
        if composite.name not in signatures:
            parts = [part for part in composite.metrics if part not in measured]
            reasons[composite.name] = f"needs {', '.join(parts)}" if parts else "no item has all of its parts"
    return reasons


def _absent(metric: str) -> str:
    if metric != BERTSCORE:
        return plugins.absent(metric)
    package = "" if find_spec("bert_score") else "the package (pip install 'suture[bertscore]') and "
    return bertscore.ABSENT.replace("needs ", f"needs {package}", 1)
