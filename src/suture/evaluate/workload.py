"""What a model is asked: a task, its items, and what the scorers of all kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.data.records import Choice, ContrastPair, Item, Record, digest_items
from suture.errors import Problem, UsageError
from suture.tasks.task import Task

_KINDS: Mapping[str, tuple[type, ...]] = {
    "choice": (Choice,),
    "contrast": (ContrastPair,),
    "ifeval": (Path,),
    "harness": (Record, Choice),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """A task and its items; for IFEval the prompts' file.

    parents is for drift: label -> the folder that `suture.evaluate.drift.keep_answers` wrote. examples are pairs (user
    turn, answer) that a task which writes shows before each item, in the same conversation.
    """

    task: Task
    items: Sequence[Item] | Path
    parents: Mapping[str, Path] = field(default_factory=dict)
    examples: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        wanted = _KINDS.get(self.task.kind, (Record,))
        got: set[type] = {Path} if isinstance(self.items, Path) else {type(item) for item in self.items}
        if len(got) != 1 or not got <= set(wanted):
            names = ", ".join(sorted(kind.__name__ for kind in got)) or "none"
            known = " or ".join(kind.__name__ for kind in wanted)
            raise UsageError(Problem(f"Items of a task of kind {self.task.kind} must be {known}.", names))
        if self.examples and not (self.task.max_new_tokens and self.task.kind in ("generation", "harness")):
            raise UsageError(Problem("Examples are for tasks that write.", f"{self.task.name}, {self.task.kind}"))

    def take(self, limit: int | None) -> Any:
        """Return the first `limit` items (all for None), of the kind that the task needs; not for IFEval."""
        return () if isinstance(self.items, Path) else self.items[:limit]

    def digest(self) -> str:
        """Return the BLAKE3 hex digest of the items."""
        return blake3(self.items.read_bytes()).hexdigest() if isinstance(self.items, Path) else digest_items(self.items)


def text_digest(*texts: str) -> str:
    """Return the BLAKE3 hex digest of what an item asks, before any chat template: equal for all models compared."""
    return blake3("\0".join(texts).encode()).hexdigest()
