"""What the tests of the write protocol share: an output of many pieces, and runs that write it as the engine does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np

from suture.checkpoint import failpoint, layout
from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.pieces import PieceKeeper
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.writer import CheckpointWriter, Layout, lay_out
from suture.errors import SutureError

TENSORS = [
    ("b", "F32", (40, 64)),
    ("a", "BF16", (3000,)),
    ("none", "F32", (0,)),
    ("c", "F32", ()),
    ("d", "U8", (7000,)),
]
SMALL = {"config.json": b"{}", "manifest.json": b'{"weights_digest": "new"}'}
WIDTHS = {"F32": 4, "BF16": 2, "U8": 1}


def small_layout() -> Layout:
    """Two files, fifteen units of at most 1024 elements, ten pieces of one to three of them."""
    with mock.patch.object(layout, "UNIT_ELEMENTS", 1024), mock.patch.object(layout, "PIECE_BYTES", 2000):
        return lay_out(TENSORS, 17_000)


LAYOUT = small_layout()


def content(name: str, run: str = "new") -> bytes:
    """The bytes of a tensor in the output called `run`."""
    seed = [ord(letter) for letter in name + run]
    return np.random.default_rng(seed).integers(0, 256, LAYOUT.slots[name].nbytes, np.uint8).tobytes()


def write(
    target: Path,
    *,
    run: str = "new",
    workers: int = 1,
    settle: bool = True,
    after_unit: Callable[[int], None] = lambda unit: None,
    **options: bool,
) -> list[int]:
    """Write the output called `run` as the engine does; return the units that were written now.

    settle: wait after each unit until its piece is journalled, so that the order of all events is one and the same.
    """
    written: list[int] = []
    with CheckpointWriter(target, LAYOUT, key=run, **options) as writer:

        def work(index: int) -> None:
            unit, keeper = LAYOUT.units[index], writer._keeper
            slot = LAYOUT.slots[unit.name]
            width = WIDTHS[slot.dtype]
            data = memoryview(content(unit.name, run))
            half = unit.count // 2
            for start, end in ((unit.start + half, unit.start + unit.count), (unit.start, unit.start + half)):
                if start < end:
                    writer.write(slot, start * width, data[start * width : end * width])
            writer.done(index, {"sum": index / 3})
            written.append(index)
            while settle and keeper is not None and waiting(keeper) and keeper.failure is None:
                time.sleep(0.0001)
            after_unit(index)

        todo = [unit.index for unit in LAYOUT.units if unit.index not in writer.finished]
        for index, record in writer.finished.items():
            assert record == {"sum": index / 3}
        if workers == 1:
            for index in todo:
                work(index)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(work, todo))
        writer.publish({**SMALL, "manifest.json": b'{"weights_digest": "%s"}' % run.encode()})
    return written


def waiting(keeper: PieceKeeper) -> bool:
    """Say whether a piece is whole and not in the journal yet."""
    return any(len(records) == len(piece) for records, piece in zip(keeper._records, LAYOUT.pieces, strict=True))


def state(target: Path) -> str:
    """Return "absent", or the name of the run whose output stands there whole; fail for anything else."""
    if not target.exists():
        return "absent"
    run = (target / "manifest.json").read_bytes().partition(b': "')[2][:-2].decode()
    with TensorReader(read_checkpoint(target)) as reader:
        assert set(reader.checkpoint.tensors) == set(LAYOUT.slots)
        for name, info in reader.checkpoint.tensors.items():
            assert b"".join(bytes(block) for block in reader.blocks(info)) == content(name, run), f"{name} of {run}"
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [*SMALL, "model.safetensors.index.json", *(name for name, _, _ in LAYOUT.files)]
    )
    return run


def forked(action: Callable[[], object]) -> int:
    """Run `action` in a fork; return 0, the exit code of the SutureError that it raised, or minus the signal."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            action()
            code = 0
        except SutureError as error:
            code = error.exit_code
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def killed_at(name: str, occurrence: int) -> Iterator[None]:
    """Kill this process with signal 9 when the failpoint is passed for the given time, counted from 0."""
    left = [occurrence]

    def hook(passed: str) -> None:
        if passed == name:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    failpoint.set_hook(hook)
    try:
        yield
    finally:
        failpoint.set_hook(None)


def passed(action: Callable[[], object]) -> dict[str, int]:
    """Return how often each failpoint is passed by `action`."""
    found = dict.fromkeys(failpoint.FAILPOINTS, 0)

    def hook(name: str) -> None:
        found[name] += 1

    failpoint.set_hook(hook)
    try:
        action()
    finally:
        failpoint.set_hook(None)
    return found


def journalled(target: Path) -> set[int]:
    """Return the units that the journal beside `target` holds."""
    from suture.checkpoint.journal import read_journal

    found = read_journal(target.with_name(f".{target.name}.suture-partial") / "journal.jsonl")
    return set() if found is None else {index for records in found.pieces.values() for index in records}


def alone(target: Path) -> bool:
    """Say whether nothing but the target is left."""
    return [path.name for path in target.parent.iterdir()] == [target.name]


def mount(*words: object) -> None:
    """Run mount. Raises CalledProcessError where this machine lets nobody mount."""
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


def unmount(place: Path) -> None:
    """Run umount; what a test that failed still holds open goes away with the process."""
    if subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode:
        subprocess.run(["umount", "-l", str(place)], check=True)
