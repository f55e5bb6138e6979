"""Metrics of other packages: found by the entry-point group `suture.metrics`, NaN and a reason where they are absent.

A plug-in is an object with two methods:

    signature() -> str                                       library, version, settings
    scores(responses, references) -> sequence of float       in [0, 100], one an item, NaN where unscored

    [project.entry-points."suture.metrics"]
    medcon = "my_package:medcon"

Four metrics of the field are known by name and not shipped, since their weights or vocabularies have licences of their
own; where no plug-in gives one, `absent` says what it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from suture.errors import Problem, UsageError

GROUP = "suture.metrics"
KNOWN = {
    "medcon": (
        "needs QuickUMLS (pip install quickumls) with an index built from UMLS, for which each user needs a licence "
        "of the US National Library of Medicine"
    ),
    "alignscore": "needs AlignScore (MIT, from its repository) and its checkpoint AlignScore-base or -large",
    "bleurt": "needs BLEURT (Apache-2.0, from its repository, TensorFlow) and its checkpoint BLEURT-20",
    "radgraph": (
        "needs radgraph (pip install radgraph) and the RadGraph weights, under the PhysioNet Credentialed Health Data "
        "licence"
    ),
}


@runtime_checkable
class Plugin(Protocol):
    """What an entry point of the group gives."""

    def signature(self) -> str:
        """Return library, version and settings."""

    def scores(self, responses: Sequence[str], references: Sequence[str]) -> Sequence[float]:
        """Return one value in [0, 100] an item."""


def find(name: str) -> Plugin | None:
    """Return the plug-in called `name`, or None; raises UsageError for what is no plug-in."""
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            found = entry.load()
            if not isinstance(found, Plugin):
                must = "A metric must have the methods signature and scores."
                raise UsageError(Problem(must, type(found).__name__, f"entry point {GROUP}: {name}"))
            return found
    return None


def names() -> tuple[str, ...]:
    """Return the metrics that can be asked for: those known by name and those that are installed."""
    return tuple(sorted({*KNOWN, *(entry.name for entry in entry_points(group=GROUP))}))


def absent(name: str) -> str:
    """Return what it takes to have the metric `name`."""
    return f"{KNOWN.get(name, 'unknown')}; then a plug-in '{name}' in the entry-point group {GROUP}"
