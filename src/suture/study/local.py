"""Runs steps in processes of this machine, one step a process at a time; idle processes are kept for the next step."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

from suture.errors import Problem, ResourceError
from suture.study.executor import Failed, Message, Told
from suture.study.graph import Context, Kind
from suture.study.worker import Worker, start_worker


class LocalExecutor:
    """An `Executor` of worker processes. As a context manager it dismisses them at the end."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._busy: dict[str, Worker] = {}

    def submit(self, name: str, kind: Kind, context: Context) -> None:
        """Give the step to an idle process, or to a new one."""
        worker = self._idle.pop() if self._idle else start_worker()
        self._busy[name] = worker
        worker.assign(kind, context)

    def gather(self) -> Sequence[tuple[str, Message]]:
        """Wait for processes that have something to tell, or have died, and return one message of each."""
        waited: list[Any] = [item for w in self._busy.values() for item in (w.connection, w.process.sentinel)]
        wait(waited)
        speaking = [
            name for name, worker in self._busy.items() if worker.connection.poll() or not worker.process.is_alive()
        ]
        return [(name, self._hear(name)) for name in speaking]

    def cancel(self) -> None:
        """Terminate the processes that are at work."""
        while self._busy:
            self._busy.popitem()[1].end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.cancel()
        while self._idle:
            self._idle.pop().dismiss()

    def _hear(self, name: str) -> Message:
        worker = self._busy[name]
        try:
            message: Message = worker.connection.recv()
        except (EOFError, OSError):
            message = _death(worker)
        if not isinstance(message, Told):
            del self._busy[name]
            if worker.process.is_alive():
                self._idle.append(worker)
            else:
                worker.end()
        return message


def _death(worker: Worker) -> Failed:
    worker.process.join()
    got = f"a worker that ended with code {worker.process.exitcode}"
    advice = "Most often memory ran out: close other programs or run with --workers 1."
    return Failed(ResourceError(Problem("A worker must live until its step ends.", got, do=advice)))
