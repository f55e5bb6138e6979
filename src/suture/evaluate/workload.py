"""What a model is asked: a task, its items, and what the scorers of all kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from suture.data.records import Choice, ContrastPair, Item, Record, digest_items
from suture.errors import Problem, UsageError
from suture.tasks.task import Task

_KINDS = {"choice": Choice, "contrast": ContrastPair}


@dataclass(frozen=True, slots=True)
class Workload:
    """A task and its items; for IFEval the prompts' file.

    parents is for drift: label -> the folder that `suture.evaluate.drift.keep_answers` wrote.
    """

    task: Task
    items: Sequence[Item] | Path
    parents: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        got = {type(item) for item in () if isinstance(self.items, Path) else self.items}
        if isinstance(self.items, Path) != (self.task.kind == "ifeval") or got - {_KINDS.get(self.task.kind, Record)}:
            kind = "the prompts' file" if self.task.kind == "ifeval" else _KINDS.get(self.task.kind, Record).__name__
            names = sorted(cls.__name__ for cls in got) or [type(self.items).__name__]
            raise UsageError(Problem(f"The items of a task of kind {self.task.kind} must be {kind}.", ", ".join(names)))

    def digest(self) -> str:
        """Return the BLAKE3 hex digest of the items."""
        return blake3(self.items.read_bytes()).hexdigest() if isinstance(self.items, Path) else digest_items(self.items)


def text_digest(*texts: str) -> str:
    """Return the BLAKE3 hex digest of what an item asks, before any chat template: equal for all models that are compared."""
    return blake3("\0".join(texts).encode()).hexdigest()
