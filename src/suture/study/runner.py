"""Runs a graph of steps on a few worker processes: what is finished stays, what fails stops only what needs it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from suture import events
from suture.errors import InterruptedRunError, Problem, ResourceError
from suture.events import Advanced, Finished, Started, tell, track
from suture.study.graph import Context, Graph, Kind, Step
from suture.study.store import Done, Store
from suture.study.worker import Ended, Failed, Message, Told, Worker, hired, start_worker

STEPS = "study"


class StepCrashedError(Exception):
    """A step ended by an error that nobody foresaw: `str` names class and place, `detail` is the traceback."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what)
        self.detail = detail


def run(
    graph: Graph, kinds: Mapping[str, Kind], store: Store, *, workers: int = 2, crew: list[Worker] | None = None
) -> dict[str, Done]:
    """Run every step of `graph` that is not finished in `store`; return all steps by name.

    Events of the workers are re-told under "<step>: <event>". Raises the error of the first failing step after all
    others that do not need it have run, with every failure and what is missing for it; InterruptedRunError on Ctrl-C
    or SIGTERM; OutputExistsError where another run holds the store. crew holds idle workers of an earlier run; those of
    this one are left there.
    """
    with ExitStack() as stack:
        stack.enter_context(store.locked())
        stack.enter_context(_terminable())
        store.sweep()
        session = _Session(graph, kinds, store, stack.enter_context(hired()) if crew is None else crew)
        try:
            with track(STEPS, len(graph), "steps") as advance:
                advance(len(session.found))
                session.work(workers)
        except KeyboardInterrupt:
            left = len(graph) - len(session.found)
            got = f"an interrupt with {left} of {len(graph)} steps to go"
            advice = "Run the same command again: it goes on where it stopped."
            raise InterruptedRunError(Problem("The study must run to its end.", got, str(store.root), advice)) from None
        finally:
            session.end()
    session.raise_failures()
    return session.found


class _Session:
    """The state of one run: what is finished, what runs on which worker, what failed."""

    def __init__(self, graph: Graph, kinds: Mapping[str, Kind], store: Store, idle: list[Worker]) -> None:
        self.graph, self.kinds, self.store, self.idle = graph, kinds, store, idle
        self.found = store.finished(graph, kinds)
        self.failed: dict[str, Failed] = {}
        self.busy: dict[Worker, tuple[Step, Context, str]] = {}
        priorities = graph.priorities()
        # costs are positive, so that a step still stands after its inputs
        self.order = sorted(graph, key=lambda step: -priorities[step.name])

    def work(self, workers: int) -> None:
        """Run until nothing is left that can run."""
        while True:
            for step in self._ready()[: workers - len(self.busy)]:
                self._start(step)
            if not self.busy:
                return
            while not any(self._hear(worker) for worker in self._speaking()):
                pass

    def end(self) -> None:
        """End the workers that have not finished."""
        for worker in self.busy:
            worker.end()
        for step, _, _ in self.busy.values():
            tell(Finished(step.name))

    def raise_failures(self) -> None:
        """Raise where a step failed: all problems in one error, each naming its step, and what is missing for it."""
        if not self.failed:
            return
        missing = [step.name for step in self.graph if step.name not in self.found and step.name not in self.failed]
        name, first = next(iter(self.failed.items()))
        if first.error is None:
            also = f" ({len(missing)} further steps wait for it)" if missing else ""
            raise StepCrashedError(f"step {name}: {first.what}{also}", first.detail)
        problems = [problem for name, failure in self.failed.items() for problem in _problems(name, failure)]
        if missing:
            got, advice = f"{len(missing)} left out", f"Missing: {', '.join(missing)}."
            problems.append(Problem("Every step must run.", got, do=advice))
        raise type(first.error)(*problems)

    def _speaking(self) -> list[Worker]:
        """Wait for the workers that have something to tell, or have died, and return them."""
        waited: list[Any] = [item for w in self.busy for item in (w.connection, w.process.sentinel)]
        wait(waited)
        return [w for w in self.busy if w.connection.poll() or not w.process.is_alive()]

    def _ready(self) -> list[Step]:
        """Return the steps that can start now, the most pressing first, one of each key; note those found finished."""
        ready: list[Step] = []
        running = {step.name for step, _, _ in self.busy.values()}
        keys = {key for _, _, key in self.busy.values()}
        for step in self.order:
            waits = not all(source in self.found for source in step.inputs.values())
            if waits or step.name in running or step.name in self.found or step.name in self.failed:
                continue
            key = self.store.key(step, self.kinds, self.found)
            done = self.store.find(step, key)
            if done is not None:
                self._note(step, done)
            elif key not in keys:
                keys.add(key)
                ready.append(step)
        return ready

    def _note(self, step: Step, done: Done) -> None:
        self.found[step.name] = done
        tell(Advanced(STEPS, 1))

    def _start(self, step: Step) -> None:
        key = self.store.key(step, self.kinds, self.found)
        sources = {role: self.graph[source] for role, source in step.inputs.items()}
        context = Context(
            parameters=step.parameters,
            inputs={role: self.store.folder(source, self.found[source.name].key) for role, source in sources.items()},
            digests={role: self.found[source.name].digest for role, source in sources.items()},
            folder=self.store.stage(step, key),
            shared=self.store.root,
        )
        worker = self.idle.pop() if self.idle else start_worker()
        self.busy[worker] = (step, context, key)
        worker.assign(self.kinds[step.kind], context)
        tell(Started(step.name, 0, ""))

    def _hear(self, worker: Worker) -> bool:
        """Take one message of a worker; return whether its step has ended."""
        step = self.busy[worker][0]
        try:
            message: Message = worker.connection.recv()
        except (EOFError, OSError):
            message = _death(worker)
        if isinstance(message, Told):
            tell(replace(message.event, name=f"{step.name}: {message.event.name}"))
            return False
        step, context, key = self.busy.pop(worker)
        if isinstance(message, Ended):
            done = Done(key, message.digest, round(message.seconds, 3), message.peak_memory)
            self.store.commit(step, context.folder, done)
            self._note(step, done)
        else:
            self.failed[step.name] = message
            tell(events.Failed(step.name, str(message.error or message.what)))
        tell(Finished(step.name))
        if worker.process.is_alive():
            self.idle.append(worker)
        else:
            worker.end()
        return True


def _problems(step: str, failure: Failed) -> list[Problem]:
    """Return what went wrong in a step, each problem with the step's name before its place."""
    if failure.error is None:
        return [Problem("A step must end.", failure.what, f"step {step}")]
    return [replace(p, where=", ".join(filter(None, [f"step {step}", p.where]))) for p in failure.error.problems]


def _death(worker: Worker) -> Failed:
    worker.process.join()
    got = f"a worker that ended with code {worker.process.exitcode}"
    advice = "Most often memory ran out: close other programs or run with --workers 1."
    return Failed(ResourceError(Problem("A worker must live until its step ends.", got, do=advice)), "", "")


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C while the block runs (signals reach the main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
