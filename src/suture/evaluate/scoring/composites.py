"""Composite scores by name: means of metrics as declared in a YAML file, NaN where one of the parts is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import Field

from suture.errors import Problem, UsageError
from suture.strict_yaml import StrictModel, load_yaml, nearest, parse_yaml

Part = str | tuple[str, ...]


class CompositeEntry(StrictModel):
    """One composite: the mean of `mean`, each a metric or a list of metrics whose mean is taken first."""

    mean: tuple[Part, ...] = Field(min_length=1)
    source: str = ""


class CompositeFile(StrictModel):
    """A file of composites by name."""

    composites: dict[str, CompositeEntry] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Composite:
    """A named mean of metrics."""

    name: str
    parts: tuple[Part, ...]
    source: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the metrics that it needs, in order."""
        return tuple(metric for part in self.parts for metric in ((part,) if isinstance(part, str) else part))

    def formula(self) -> str:
        """Return it in words: mean(mean(a, b), c)."""
        parts = [part if isinstance(part, str) else _written(part) for part in self.parts]
        return _written(parts)

    def value(self, scores: Mapping[str, float]) -> float:
        """Return the composite of `scores` (metric -> value in [0, 100]); NaN where a part is missing or NaN."""
        found = [
            _mean([scores.get(metric, math.nan) for metric in ((part,) if isinstance(part, str) else part)])
            for part in self.parts
        ]
        return _mean(found)


def load_composites(own: Path | None = None) -> dict[str, Composite]:
    """Return the packaged composites and those of the file `own`, which may redefine one."""
    packaged = files("suture.evaluate.scoring").joinpath("composites.yaml").read_text(encoding="utf-8")
    found = parse_yaml(packaged, CompositeFile, "composites.yaml").composites
    if own is not None:
        found = {**found, **load_yaml(own, CompositeFile).composites}
    return {name: Composite(name, entry.mean, entry.source) for name, entry in found.items()}


def choose(names: tuple[str, ...], known: Mapping[str, Composite], metrics: tuple[str, ...]) -> list[Composite]:
    """Return the composites called `names`; raises UsageError for an unknown one or one of unknown metrics."""
    problems = [
        Problem("A composite must be known.", f"'{name}'", do=nearest(name, known))
        for name in names
        if name not in known
    ]
    chosen = [known[name] for name in names if name in known]
    for composite in chosen:
        problems += [
            Problem(
                "A composite must be made of known metrics.", f"'{metric}'", composite.name, nearest(metric, metrics)
            )
            for metric in composite.metrics
            if metric not in metrics
        ]
    if problems:
        raise UsageError(*problems)
    return chosen


def _written(parts: Sequence[str]) -> str:
    return f"mean({', '.join(parts)})"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
