"""A graph of steps: what each computes, from which others, and in which order two workers finish soonest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the registered `kind` applied to JSON-able `parameters` and the outputs of other steps.

    inputs maps the role that an output plays in this step to the name of the step that makes it. cost is a rough guess
    in seconds, positive; it orders the work and enters no key, as the name does not.
    """

    name: str
    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class Context:
    """What a running step sees: its parameters, the folders of its inputs by role, and two places to write to.

    folder: new and empty, renamed into the store when the step ends well. shared: the study's folder, for caches that
    outlive an interrupted step (their files are whole or not there).
    """

    parameters: Mapping[str, Any]
    inputs: Mapping[str, Path]
    digests: Mapping[str, str]
    folder: Path
    shared: Path


@dataclass(frozen=True, slots=True)
class Kind:
    """A registered function of steps, importable by name (workers are spawned); version changes when results do.

    run returns the digest of what it made. Later steps are keyed on it: what follows equal digests is computed once.
    """

    name: str
    version: int | str
    run: Callable[[Context], str]


class Graph:
    """Steps by name, in an order in which every step stands after its inputs.

    Raises ValueError for a name used twice, an unknown input, a circle, or a cost that is not positive: a study is
    checked before it becomes one.
    """

    def __init__(self, steps: Iterator[Step] | list[Step]) -> None:
        given = list(steps)
        by_name = {step.name: step for step in given}
        if len(by_name) < len(given):
            raise ValueError("two steps have one name")
        if any(step.cost <= 0 for step in given):
            raise ValueError("a cost must be positive")
        self.steps: dict[str, Step] = {}
        for step in given:
            self._place(step.name, by_name, ())

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps.values())

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, name: str) -> Step:
        return self.steps[name]

    def priorities(self) -> dict[str, float]:
        """Return each step's longest chain of costs to the end: the larger, the sooner it should run."""
        remaining = {step.name: step.cost for step in self}
        for step in reversed(self.steps.values()):
            for source in step.inputs.values():
                remaining[source] = max(remaining[source], self[source].cost + remaining[step.name])
        return remaining

    def _place(self, name: str, by_name: Mapping[str, Step], path: tuple[str, ...]) -> None:
        if name in self.steps:
            return
        if name not in by_name or name in path:
            raise ValueError(f"step {path[-1]} needs {name}, which is " + ("a circle" if name in path else "unknown"))
        for source in by_name[name].inputs.values():
            self._place(source, by_name, (*path, name))
        self.steps[name] = by_name[name]


def step_key(step: Step, kind: Kind, digests: Mapping[str, str]) -> str:
    """Return the key (64 hex digits) of a step whose inputs, by role, have the given output digests."""
    content = {"kind": kind.name, "version": kind.version, "parameters": step.parameters, "inputs": dict(digests)}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return blake3(text.encode()).hexdigest()
