"""What scoring gives: each score with its signature, the items behind them, and how both are written down."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suture.errors import OutputExistsError, Problem
from suture.evaluate.scoring.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Score:
    """One number in [0, 100] (NaN where unscored) and what computed it, or what it would take.

    range: least and greatest value over the draws that the published evaluation leaves to chance.
    """

    value: float
    signature: str
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of one file of predictions; missing and extra count references and predictions left alone."""

    protocol: Protocol
    n: int
    missing: int
    extra: int
    scores: Mapping[str, Score]
    items: Sequence[Mapping[str, Any]]
    warnings: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def to_json(scored: Scored) -> dict[str, Any]:
    """Return the result as JSON values; NaN becomes null."""
    protocol = scored.protocol
    return {
        "task": protocol.task,
        "n": scored.n,
        "missing": scored.missing,
        "extra": scored.extra,
        "scores": {name: _score(score) for name, score in scored.scores.items()},
        "protocol": {"how": protocol.how, "source": protocol.source, "deviations": list(protocol.deviations)},
        **({"about": dict(scored.about)} if scored.about else {}),
        **({"warnings": list(scored.warnings)} if scored.warnings else {}),
    }


def write_items(path: Path, scored: Scored) -> None:
    """Write one JSON line an item, whole or not at all, mode 0600. Raises OutputExistsError for what is no file."""
    if path.is_dir():
        raise OutputExistsError(Problem("The items must go to a file.", "a folder", str(path), "Name a file in it."))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    staging = path.with_name(path.name + ".partial")
    staging.unlink(missing_ok=True)
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        for item in scored.items:
            plain = {name: _plain(value) for name, value in item.items()}
            stream.write(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    staging.replace(path)


def _score(score: Score) -> dict[str, Any]:
    found: dict[str, Any] = {"value": _plain(score.value), "signature": score.signature}
    if score.range is not None:
        found["range"] = [_plain(score.range[0]), _plain(score.range[1])]
    return found


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
