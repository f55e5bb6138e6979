"""Hands out a merge in tasks that any worker can do: stretches of passes, then units, tensor after tensor.

A tensor is opened only when no task of an earlier one is left to take, so about as many are open as there are workers,
and one large tensor occupies all of them. Files are read in their order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from suture.checkpoint.layout import Unit
from suture.merge.buffers import Desk
from suture.merge.evaluation import Evaluation
from suture.merge.passes import Stretch
from suture.merge.unit import Record, UnitWork


@dataclass
class OpenTensor:
    """A tensor in work: its evaluation, and the units of it that are still to do."""

    evaluation: Evaluation
    work: UnitWork
    units: tuple[Unit, ...]
    parts: list[Any] = field(default_factory=list)
    waiting: int = 0


@dataclass(frozen=True)
class _Task:
    tensor: OpenTensor
    what: Stretch | Unit
    position: int = 0


class Schedule:
    """The tasks of all tensors; `done` is called with each unit and its record, by whichever worker did it."""

    def __init__(self, tensors: Iterable[OpenTensor], done: Callable[[Unit, Record], None]) -> None:
        self._tensors: Iterator[OpenTensor] = iter(tensors)
        self._done = done
        self._ready: deque[_Task] = deque()
        self._running = 0
        self._stopped = False
        self._changed = threading.Condition()

    def run(self, workers: int, desk_elements: int) -> None:
        """Do everything with `workers` threads. The first exception of any of them stops all and is raised."""
        if workers == 1:
            self._work(desk_elements)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="merge") as pool:
            futures = [pool.submit(self._work, desk_elements) for _ in range(workers)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._stop()
                raise

    def _work(self, desk_elements: int) -> None:
        desk = Desk(desk_elements)
        try:
            while (task := self._take()) is not None:
                self._do(task, desk)
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take(self) -> _Task | None:
        with self._changed:
            while not self._stopped:
                if self._ready:
                    self._running += 1
                    return self._ready.popleft()
                tensor = next(self._tensors, None)
                if tensor is not None:
                    self._offer(tensor)
                elif self._running == 0:
                    self._changed.notify_all()
                    return None
                else:
                    self._changed.wait()
            return None

    def _offer(self, tensor: OpenTensor) -> None:
        """Make the tasks of a tensor's current pass, or of its units, ready. The lock is held."""
        this = tensor.evaluation.current if tensor.units else None
        if this is not None:
            tensor.parts = [None] * len(this.stretches)
            tensor.waiting = len(this.stretches)
            tasks: list[_Task] = [_Task(tensor, stretch, i) for i, stretch in enumerate(this.stretches)]
        else:
            tasks = [_Task(tensor, unit) for unit in tensor.units]
        # What a pass of this tensor waits for comes before what has not been begun.
        self._ready.extendleft(reversed(tasks))
        self._changed.notify_all()

    def _do(self, task: _Task, desk: Desk) -> None:
        tensor = task.tensor
        if isinstance(task.what, Stretch):
            part = tensor.evaluation.measure(task.what, desk)
            with self._changed:
                tensor.parts[task.position] = part
                tensor.waiting -= 1
                last = tensor.waiting == 0
            if last:
                tensor.evaluation.conclude(tensor.parts)
                with self._changed:
                    self._offer(tensor)
        else:
            self._done(task.what, tensor.work.run(task.what.start, task.what.count, desk))
        with self._changed:
            self._running -= 1
            if self._running == 0:
                self._changed.notify_all()
