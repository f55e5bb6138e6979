"""A worker process: runs one step after another with one thread each, and tells its parent what happens."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import suture
from suture.errors import Problem, ResourceError, SutureError
from suture.events import listening
from suture.study.executor import Ended, Failed, Told
from suture.study.graph import Context, Kind
from suture.study.store import DISK, disk_error

# One thread a worker, since OpenMP threads that spin on shared cores run several times slower; memory is kept by the
# process, which spares a training step thousands of page faults; nothing goes online.
PACKAGE = Path(suture.__file__).parent
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
    # An interrupted worker leaves semaphores of libraries behind, which are removed; that is no news.
    "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
}


@dataclass(slots=True, eq=False)
class Worker:
    """The parent's end of one worker process."""

    process: BaseProcess
    connection: Connection

    def assign(self, kind: Kind, context: Context) -> None:
        """Give the worker its next step."""
        self.connection.send((kind, context))

    def dismiss(self) -> None:
        """End the process, which has nothing to do."""
        self.connection.close()
        self.process.join(5)
        self.end()

    def end(self) -> None:
        """Stop the process, whatever it is doing."""
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def start_worker() -> Worker:
    """Start a worker process with `ENVIRONMENT` in place before it begins."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    with _environment():
        process.start()
    theirs.close()
    return Worker(process, ours)


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.disable(logging.WARNING)  # what a user must know travels as errors and events
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with listening(lambda event: connection.send(Told(event))):
        while True:
            try:
                kind, context = connection.recv()
            except EOFError:
                return
            connection.send(_attempt(kind, context))


def _attempt(kind: Kind, context: Context) -> Ended | Failed:
    _reset_peak()
    began = time.monotonic()
    try:
        digest = kind.run(context)
    except SutureError as error:
        return Failed(error)
    except MemoryError as error:
        advice = "Close other programs or run with --workers 1; finished steps are kept."
        return Failed(ResourceError(Problem("Memory must suffice for the step.", _place(error), do=advice)))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK:
            return Failed(disk_error(error, context.folder))
        return Failed(None, _place(error), _frames(error))
    return Ended(digest, time.monotonic() - began, _peak())


def _place(error: BaseException) -> str:
    """Say what went wrong without the error's own text, which may hold data."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is `_attempt`
    last = next((frame for frame in reversed(frames) if PACKAGE in Path(frame.filename).parents), frames[-1])
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def _frames(error: BaseException | None) -> str:
    """Return where an error came from, and what it was raised in the course of; class and places, no text of theirs."""
    told: list[str] = []
    while error is not None:
        lines = [
            f"  {frame.filename}, line {frame.lineno}, in {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        told.append("\n".join([f"{type(error).__name__}, raised by (the last call last)", *lines]))
        error = error.__cause__ or error.__context__
    return "\nin the course of\n".join(told)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    """Return the peak of resident memory in bytes, since the last reset where the system can tell that."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
