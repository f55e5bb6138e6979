"""The store of finished steps: OUT/steps/<kind>-<key, 12>/, each there whole, with done.json, or not there."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from suture.checkpoint.disk import FULL, free_bytes, sync_folder
from suture.errors import OutputExistsError, Problem, ResourceError
from suture.study.graph import Graph, Kind, Step, step_key

DONE = "done.json"
FAILED, RUNNING, TRAINING = "failed", "running", "training"
LOCK = ".lock"
# What a disk says that is full, broken or read-only.
DISK = (*FULL, errno.EIO, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Done:
    """A finished step: its key, the digest of what it made, wall seconds, peak of resident memory in bytes."""

    key: str
    digest: str
    seconds: float
    peak_memory: int


class Store:
    """Finished steps below the folder `root`. Only one run at a time holds it. A disk's errors are ResourceErrors."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps = root / "steps"
        self._held = False

    def check(self) -> None:
        """Raise OutputExistsError where `root` holds files and is no study's folder."""
        if self.steps.is_dir() or not self.root.exists():
            return
        if not self.root.is_dir() or any(path.name != LOCK for path in self.root.iterdir()):
            advice = "Name a new folder, or that of the study itself."
            must = "The folder must be new or a study's."
            raise OutputExistsError(Problem(must, "other files", str(self.root), advice))

    def folder(self, step: Step, key: str) -> Path:
        """Return where the outputs of a step with that key stand once it is finished."""
        return self.steps / f"{step.kind}-{key[:12]}"

    def training(self, step: Step, key: str) -> Path:
        """Return where the state of a step's training stands until it is finished (`suture.study.models.adapt`)."""
        return training_folder(self.root, self._staging(step, key))

    def find(self, step: Step, key: str) -> Done | None:
        """Return what is known of a finished step; None where it has not run."""
        path = self.folder(step, key) / DONE
        if not path.is_file():
            return None
        done = Done(**json.loads(path.read_text(encoding="utf-8")))
        return done if done.key == key else None

    def stage(self, step: Step, key: str) -> Path:
        """Return a new, empty folder in which the step is to write."""
        staging = self._staging(step, key)
        with on_disk(self.root):
            self._failure(step, key).unlink(missing_ok=True)
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True, mode=0o700)
            self._since(step, key).parent.mkdir(exist_ok=True, mode=0o700)
            self._since(step, key).touch()
        return staging

    def started(self, step: Step, key: str) -> float | None:
        """Return when a step began that has not ended, in seconds since 1970; None where it has not begun."""
        try:
            return self._since(step, key).stat().st_mtime
        except FileNotFoundError:
            return None

    def fail(self, step: Step, key: str, problems: Sequence[str]) -> None:
        """Remove what a failed step has written and keep why, until it is tried again, where the disk takes that."""
        shutil.rmtree(self._staging(step, key), ignore_errors=True)
        path = self._failure(step, key)
        with suppress(OSError):
            self._since(step, key).unlink(missing_ok=True)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            replace_file(path, json.dumps(list(problems)).encode())

    def failure(self, step: Step, key: str) -> tuple[str, ...]:
        """Return why the last try of a step failed, in sentences without text of the data; nothing if it did not."""
        try:
            return tuple(json.loads(self._failure(step, key).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def commit(self, step: Step, staging: Path, done: Done) -> None:
        """Move a step's folder into place, synced; a stale one of the same key is replaced."""
        with on_disk(self.root):
            with (staging / DONE).open("w", encoding="utf-8") as stream:
                json.dump(asdict(done), stream, indent=1, sort_keys=True)
                stream.flush()
                os.fsync(stream.fileno())
            target = self.folder(step, done.key)
            shutil.rmtree(target, ignore_errors=True)
            staging.rename(target)
            self._since(step, done.key).unlink(missing_ok=True)
            sync_folder(self.steps)

    def sweep(self) -> None:
        """Remove what an interrupted run left half-written. Only the holder of the lock may do so."""
        for staging in self.steps.glob(".*.partial"):
            shutil.rmtree(staging)
        shutil.rmtree(self.root / RUNNING, ignore_errors=True)

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
        """Hold the store while the block runs; a block within the block is free to ask for it again.

        The lock is the operating system's, so that it ends with the process that held it, however that ended. Raises
        OutputExistsError where another run holds the store, naming it, and what `check` raises.
        """
        if self._held:
            yield
            return
        self.check()
        with on_disk(self.root):
            self.steps.mkdir(parents=True, exist_ok=True)
            stream = (self.root / LOCK).open("a+", encoding="utf-8")
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(stream)
                problem = Problem("One run at a time may use a folder.", holder, str(self.root), "Wait or stop it.")
                raise OutputExistsError(problem) from None
            with on_disk(self.root):
                stream.truncate(0)
                since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
                stream.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}\n")
                stream.flush()
            self._held = True
            try:
                yield
            finally:
                self._held = False
                stream.truncate(0)

    def holder(self) -> str:
        """Return which process holds the store, "" where none does."""
        path = self.root / LOCK
        if not path.is_file():
            return ""
        with path.open("r", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _holder(stream)
        return ""

    def _staging(self, step: Step, key: str) -> Path:
        return self.steps / f".{step.kind}-{key[:12]}.partial"

    def _since(self, step: Step, key: str) -> Path:
        """A file whose time is when a step began: the time of its folder changes with every file in it."""
        return self.root / RUNNING / f"{step.kind}-{key[:12]}"

    def _failure(self, step: Step, key: str) -> Path:
        return self.root / FAILED / f"{step.kind}-{key[:12]}.json"


@contextmanager
def on_disk(folder: Path) -> Iterator[None]:
    """Turn what a disk says that is full, broken or read-only into a ResourceError."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK:
            raise disk_error(error, folder) from None
        raise


def disk_error(error: OSError, folder: Path) -> ResourceError:
    """Return what a user can do about an error of the disk that `folder` is on."""
    got = f"{os.strerror(error.errno or 0).lower()}, {free_bytes(folder):,} bytes free"
    advice = "Make room and give the same command again: finished steps are kept."
    return ResourceError(Problem("The disk must take what a step writes.", got, str(folder), advice))


def training_folder(root: Path, staging: Path) -> Path:
    """Return where a step that writes to `staging` keeps the state of its training: it outlives the step's failure."""
    return root / TRAINING / staging.name.strip(".")


def _holder(stream: TextIO) -> str:
    stream.seek(0)
    return stream.read().strip() or "another process"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    staging = path.with_name(path.name + ".partial")
    staging.write_bytes(content)
    staging.replace(path)
