"""Runs a graph of steps on a few worker processes: what is finished stays, what fails stops only what needs it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import FrameType

from suture import events
from suture.errors import InterruptedRunError, Problem, SutureError
from suture.events import Advanced, Finished, Started, tell, track
from suture.study.executor import Ended, Executor, Failed, Message, Told
from suture.study.graph import Context, Graph, Kind, Step
from suture.study.local import LocalExecutor
from suture.study.store import Done, Store

STEPS = "study"


class StepCrashedError(SutureError):
    """A step ended by an error that nobody foresaw. detail: the frames that each such error came by."""

    def __init__(self, *problems: Problem, detail: str = "") -> None:
        super().__init__(*problems)
        self.detail = detail


def run(
    graph: Graph, kinds: Mapping[str, Kind], store: Store, *, workers: int = 2, executor: Executor | None = None
) -> dict[str, Done]:
    """Run every step of `graph` that is not finished in `store`; return all steps by name.

    At most `workers` steps run at a time, on `executor` (by default on processes of this machine). Their events are
    re-told under "<step>: <event>". Where steps fail, all that do not need them run on; then one error names every
    failure and what is missing for it: StepCrashedError where one was unforeseen, else the first one's kind. Raises
    InterruptedRunError on Ctrl-C or SIGTERM; OutputExistsError where another run holds the store; ResourceError where
    the disk is full.
    """
    with ExitStack() as stack:
        stack.enter_context(store.locked())
        stack.enter_context(_terminable())
        store.sweep()
        session = _Session(graph, kinds, store, executor or stack.enter_context(LocalExecutor()))
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
    """The state of one run: what is finished, what runs, what failed."""

    def __init__(self, graph: Graph, kinds: Mapping[str, Kind], store: Store, executor: Executor) -> None:
        self.graph, self.kinds, self.store, self.executor = graph, kinds, store, executor
        self.found = store.finished(graph, kinds)
        self.failed: dict[str, Failed] = {}
        self.running: dict[str, tuple[Step, Context, str]] = {}
        priorities = graph.priorities()
        # costs are positive, so that a step still stands after its inputs
        self.order = sorted(graph, key=lambda step: -priorities[step.name])

    def work(self, workers: int) -> None:
        """Run until nothing is left that can run."""
        while True:
            for step in self._ready()[: workers - len(self.running)]:
                self._start(step)
            if not self.running:
                return
            while not sum(self._take(name, message) for name, message in self.executor.gather()):
                pass

    def end(self) -> None:
        """End what still runs."""
        self.executor.cancel()
        for name in self.running:
            tell(Finished(name))

    def raise_failures(self) -> None:
        """Raise where a step failed: all problems in one error, each naming its step, and what is missing for it."""
        if not self.failed:
            return
        problems = [problem for name, failure in self.failed.items() for problem in _problems(name, failure)]
        missing = [step.name for step in self.graph if step.name not in self.found and step.name not in self.failed]
        if missing:
            got, advice = f"{len(missing)} left out", f"Missing: {', '.join(missing)}."
            problems.append(Problem("Every step must run.", got, do=advice))
        unforeseen = [f"step {name}: {failure.detail}" for name, failure in self.failed.items() if not failure.error]
        if unforeseen:
            raise StepCrashedError(*problems, detail="\n\n".join(unforeseen))
        first = next(failure.error for failure in self.failed.values() if failure.error)
        raise type(first)(*problems)

    def _ready(self) -> list[Step]:
        """Return the steps that can start now, the most pressing first, one of each key; note those found finished."""
        ready: list[Step] = []
        keys = {key for _, _, key in self.running.values()}
        for step in self.order:
            waits = not all(source in self.found for source in step.inputs.values())
            if waits or step.name in self.running or step.name in self.found or step.name in self.failed:
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
        self.running[step.name] = (step, context, key)
        self.executor.submit(step.name, self.kinds[step.kind], context)
        tell(Started(step.name, 0, ""))

    def _take(self, name: str, message: Message) -> bool:
        """Take one message of a step; return whether it has ended."""
        if isinstance(message, Told):
            tell(replace(message.event, name=f"{name}: {message.event.name}"))
            return False
        step, context, key = self.running.pop(name)
        if isinstance(message, Ended):
            done = Done(key, message.digest, round(message.seconds, 3), message.peak_memory)
            self.store.commit(step, context.folder, done)
            self._note(step, done)
        else:
            self.failed[name] = message
            self.store.fail(step, key, [str(problem) for problem in _problems(name, message)])
            tell(events.Failed(name, str(message.error or message.what)))
        tell(Finished(name))
        return True


def _problems(step: str, failure: Failed) -> list[Problem]:
    """Return what went wrong in a step, each problem with the step's name before its place."""
    if failure.error is None:
        advice = "This was not foreseen: add --debug to see where, and report it."
        return [Problem("A step must end.", failure.what, f"step {step}", advice)]
    return [replace(p, where=", ".join(filter(None, [f"step {step}", p.where]))) for p in failure.error.problems]


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
