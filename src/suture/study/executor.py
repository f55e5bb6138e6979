"""Where the steps of a study run: three methods, behind which are processes of this machine or a cluster.

The scheduler (`suture.study.runner`) knows which step may run next and what its failure keeps from running. It knows
nothing of processes, pipes and signals: another place to run steps is another implementation of `Executor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from suture.errors import SutureError
from suture.events import Event
from suture.study.graph import Context, Kind


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a running step."""

    event: Event


@dataclass(frozen=True, slots=True)
class Ended:
    """A step ended well: the digest of what it made, wall seconds, peak of resident memory in bytes."""

    digest: str
    seconds: float
    peak_memory: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A step failed by an error of Suture's, or by an unexpected one: its class and place, and the frames it came by.

    Neither `what` nor `detail` holds the unexpected error's own text, which may quote data.
    """

    error: SutureError | None
    what: str = ""
    detail: str = ""


Message = Told | Ended | Failed


class Executor(Protocol):
    """Runs steps that can run now. A step's folder is prepared and put in place by the scheduler.

    The folders of a `Context` must be reachable where the step runs.
    """

    def submit(self, name: str, kind: Kind, context: Context) -> None:
        """Start a step; returns at once. `name` is not in use by another that runs."""

    def gather(self) -> Sequence[tuple[str, Message]]:
        """Wait until running steps have something to tell; return it by step, at least one message.

        After `Ended` or `Failed` nothing more comes of a step. A step that died without a word has failed.
        """

    def cancel(self) -> None:
        """End every step that runs, whatever it is doing; nothing more comes of them."""
