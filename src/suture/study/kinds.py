"""The kinds of steps that a study consists of, each with what its version depends on.

Quick steps carry the digest of the source that computes them, so that they are never stale; evaluation does too, since
its results are kept under their own key. Training and conversion take minutes: their version is raised by hand when
results change.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import suture
from suture.study import curves, models, overlap, scores, texts
from suture.study.graph import Kind
from suture.study.texts import digest_files

MERGING = (
    *("kernels", "merge", "architecture.py", "plan", "recipe", "methods", "checkpoint", "numerics"),
    "study/models.py",
)
TEXTS = ("data", "tasks", "study/texts.py", "study/tasks.py")
SCORES = ("evaluate", "tasks", "study/scores.py", "study/tasks.py")
COMPARING = ("compare", "study/scores.py")


def kinds() -> Mapping[str, Kind]:
    """Return every kind by name."""
    found = (
        Kind("ancestor", 1, models.ancestor),
        Kind("reference", 1, models.reference),
        Kind("clinic", _source(*TEXTS), texts.clinic),
        Kind("instructions", _source(*TEXTS), texts.instructions),
        Kind("mts_dialog", _source(*TEXTS, "adapt/shots.py"), texts.mts_dialog),
        Kind("texts", _source(*TEXTS), texts.plain),
        Kind("own_task", _source(*TEXTS, "adapt/lessons.py"), texts.own_task),
        Kind("suite_task", _source(*TEXTS, "adapt/lessons.py"), texts.suite_task),
        Kind("prompts", _source(*TEXTS), texts.prompts),
        Kind("drift", _source(*TEXTS), texts.drift),
        Kind("overlap", _source(*TEXTS, "adapt/lessons.py", "study/overlap.py"), overlap.look_for_overlap),
        Kind("floors", _source(*SCORES), scores.floors),
        Kind("train", 1, models.train),
        Kind("adapt", 1, models.adapt),
        Kind("answers", 1, scores.answers),
        Kind("merge", _source(*MERGING), models.merge),
        Kind("rounding", _source(*MERGING), models.rounding),
        Kind("evaluate", _source(*SCORES), scores.evaluate),
        Kind("gate", _source(*COMPARING), scores.gate),
        Kind("compare", _source(*COMPARING), scores.compare_models),
        Kind("curves", _source("compare", "study/curves.py"), curves.draw_curves),
    )
    return {kind.name: kind for kind in found}


@cache
def _source(*parts: str) -> str:
    root = Path(suture.__file__).parent
    files = [path for part in parts for path in ([root / part] if part.endswith(".py") else (root / part).rglob("*"))]
    return digest_files([path for path in files if path.is_file() and path.suffix != ".pyc"])[:16]
