"""The store of finished steps: OUT/steps/<kind>-<key, 12>/, each there whole, with done.json, or not there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from suture.errors import OutputExistsError, Problem
from suture.study.graph import Graph, Kind, Step, step_key

DONE = "done.json"


@dataclass(frozen=True, slots=True)
class Done:
    """A finished step: its key, the digest of what it made, wall seconds, peak of resident memory in bytes."""

    key: str
    digest: str
    seconds: float
    peak_memory: int


class Store:
    """Finished steps below the folder `root`. Only one run at a time holds it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps = root / "steps"

    def check(self) -> None:
        """Raise OutputExistsError where `root` holds files and is no study's folder."""
        if self.root.exists() and (not self.root.is_dir() or (any(self.root.iterdir()) and not self.steps.is_dir())):
            advice = "Name a new folder, or that of the study itself."
            must = "The folder must be new or a study's."
            raise OutputExistsError(Problem(must, "other files", str(self.root), advice))

    def folder(self, step: Step, key: str) -> Path:
        """Return where the outputs of a step with that key stand once it is finished."""
        return self.steps / f"{step.kind}-{key[:12]}"

    def find(self, step: Step, key: str) -> Done | None:
        """Return what is known of a finished step; None where it has not run."""
        path = self.folder(step, key) / DONE
        if not path.is_file():
            return None
        done = Done(**json.loads(path.read_text(encoding="utf-8")))
        return done if done.key == key else None

    def stage(self, step: Step, key: str) -> Path:
        """Return a new, empty folder in which the step is to write."""
        staging = self.steps / f".{step.kind}-{key[:12]}.partial"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, mode=0o700)
        return staging

    def commit(self, step: Step, staging: Path, done: Done) -> None:
        """Move a step's folder into place, synced; a stale one of the same key is replaced."""
        with (staging / DONE).open("w", encoding="utf-8") as stream:
            json.dump(asdict(done), stream, indent=1, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        target = self.folder(step, done.key)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
        _sync_folder(self.steps)

    def sweep(self) -> None:
        """Remove what an interrupted run left half-written. Only the holder of the lock may do so."""
        for staging in self.steps.glob(".*.partial"):
            shutil.rmtree(staging)

    def finished(self, graph: Graph, kinds: Mapping[str, Kind]) -> dict[str, Done]:
        """Return the finished steps of `graph` by name, in its order; keys come from the digests of their inputs."""
        found: dict[str, Done] = {}
        for step in graph:
            if all(source in found for source in step.inputs.values()):
                key = self.key(step, kinds, found)
                done = self.find(step, key)
                if done is not None:
                    found[step.name] = done
        return found

    def key(self, step: Step, kinds: Mapping[str, Kind], found: Mapping[str, Done]) -> str:
        """Return the key of a step whose inputs are all among `found`."""
        digests = {role: found[source].digest for role, source in step.inputs.items()}
        return step_key(step, kinds[step.kind], digests)

    def clean(self, graph: Graph, kinds: Mapping[str, Kind]) -> list[Path]:
        """Remove every step that `graph` does not reach; return the removed folders. The caller holds the lock."""
        found = self.finished(graph, kinds)
        kept = {self.folder(graph[name], done.key) for name, done in found.items()}
        removed = [path for path in sorted(self.steps.iterdir()) if path not in kept]
        for path in removed:
            shutil.rmtree(path)
        return removed

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store while the block runs. Raises OutputExistsError, naming the holder, where another run does.

        The lock is the operating system's, so that it ends with the process that held it, however that ended.
        """
        self.steps.mkdir(parents=True, exist_ok=True)
        path = self.root / ".lock"
        with path.open("a+", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "another process"
                problem = Problem("One run at a time may use a folder.", holder, str(self.root), "Wait or stop it.")
                raise OutputExistsError(problem) from None
            stream.truncate(0)
            stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            stream.flush()
            try:
                yield
            finally:
                stream.truncate(0)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    staging = path.with_name(path.name + ".partial")
    staging.write_bytes(content)
    staging.replace(path)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
