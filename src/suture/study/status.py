"""How far a study has come: each of its steps done, running, failed, ready, or waiting for others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from suture.study.finished import Finished
from suture.study.graph import Step
from suture.study.kinds import kinds

State = Literal["done", "running", "failed", "ready", "waiting"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One step. seconds: taken so far; peak_memory: in bytes; told: why it failed, or which steps it waits for."""

    step: str
    state: State
    seconds: float | None = None
    peak_memory: int | None = None
    folder: str = ""
    told: tuple[str, ...] = ()


def standings(done: Finished) -> Iterator[Standing]:
    """Yield how every step stands, in the order of the graph."""
    held = bool(done.store.holder())
    for step in done.built.graph:
        yield _standing(done, step, held)


def _standing(done: Finished, step: Step, held: bool) -> Standing:
    found = done.found.get(step.name)
    if found is not None:
        return Standing(step.name, "done", found.seconds, found.peak_memory, done.folder(step.name).name)
    awaited = tuple(source for source in dict.fromkeys(step.inputs.values()) if source not in done.found)
    if awaited:
        return Standing(step.name, "waiting", told=awaited)
    key = done.store.key(step, kinds(), done.found)
    began = done.store.started(step, key)
    if held and began is not None:
        return Standing(step.name, "running", max(0.0, time.time() - began))
    failure = done.store.failure(step, key)
    if failure:
        return Standing(step.name, "failed", told=failure)
    return Standing(step.name, "ready")
