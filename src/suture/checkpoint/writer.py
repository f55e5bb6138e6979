"""Writes a checkpoint that appears whole or not at all: staging folder, positioned writes, fsync, one rename.

The layout (which tensor at which offset of which shard) is computed beforehand, so that tensors may be written in any
order and by several threads. A lock beside the target keeps a second run out; the kernel drops it with its holder.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from suture.checkpoint.header import DTYPE_BYTES, INDEX_NAME, SINGLE_NAME
from suture.errors import OutputExistsError, Problem, ResourceError


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """Where a tensor of the output goes: shard number, offset in bytes from the start of that file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    nbytes: int


@dataclass(frozen=True)
class Layout:
    """The output's files: slots by tensor name, and name, header bytes and total size of each shard."""

    slots: Mapping[str, TensorSlot]
    files: tuple[tuple[str, bytes, int], ...]

    @property
    def nbytes(self) -> int:
        """Size of all weight files together."""
        return sum(size for _, _, size in self.files)


def lay_out(tensors: Sequence[tuple[str, str, tuple[int, ...]]], max_shard_bytes: int) -> Layout:
    """Return the layout for tensors given as (name, dtype, shape) in the order in which they are to stand."""
    shards: list[list[tuple[str, str, tuple[int, ...], int]]] = [[]]
    filled = 0
    for name, dtype, shape in tensors:
        nbytes = DTYPE_BYTES[dtype]
        for extent in shape:
            nbytes *= extent
        if shards[-1] and filled + nbytes > max_shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append((name, dtype, shape, nbytes))
        filled += nbytes
    slots: dict[str, TensorSlot] = {}
    files: list[tuple[str, bytes, int]] = []
    for number, shard in enumerate(shards):
        # The order is the donor's, so only the header is padded, to 8 bytes, as the format asks.
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        begin = 0
        for name, dtype, shape, nbytes in shard:
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, begin + nbytes]}
            begin += nbytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        start = 8 + len(text)
        for name, dtype, shape, nbytes in shard:
            offset = start + header[name]["data_offsets"][0]  # type: ignore[index]
            slots[name] = TensorSlot(name, dtype, shape, number, offset, nbytes)
        file = SINGLE_NAME if len(shards) == 1 else f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        files.append((file, struct.pack("<Q", len(text)) + text, start + begin))
    return Layout(slots, tuple(files))


class CheckpointWriter:
    """Writes the tensors of one layout into a staging folder; `publish` makes it the target. Threads share it.

    Raises OutputExistsError on entry where the target holds files or another run holds its lock, ResourceError where
    the disk is too small. Left without `publish`, it removes its staging folder.
    """

    def __init__(self, target: Path, layout: Layout) -> None:
        self.target = target
        self.layout = layout
        self._staging = target.with_name(f".{target.name}.suture-partial")
        self._lock_file = target.with_name(f".{target.name}.suture-lock")
        self._lock = -1
        self._descriptors: list[int] = []

    def __enter__(self) -> CheckpointWriter:
        refuse_existing(self.target)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            shutil.rmtree(self._staging, ignore_errors=True)
            _check_space(self.target.parent, self.layout.nbytes)
            self._staging.mkdir()
            for name, header, size in self.layout.files:
                descriptor = os.open(self._staging / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
                self._descriptors.append(descriptor)
                _preallocate(descriptor, size, self.target)
                _write_all(descriptor, memoryview(header), 0)
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()

    def write(self, slot: TensorSlot, start: int, data: memoryview) -> None:
        """Write `data` (bytes) at byte `start` of the tensor."""
        _write_all(self._descriptors[slot.shard], data, slot.offset + start)

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Add the small `files`, sync everything, and rename the staging folder to the target."""
        small = dict(files)
        if len(self.layout.files) > 1:
            small[INDEX_NAME] = self._index()
        for name, content in small.items():
            descriptor = os.open(self._staging / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            self._descriptors.append(descriptor)
            _write_all(descriptor, memoryview(content), 0)
        for descriptor in self._descriptors:
            os.fsync(descriptor)
        _sync_folder(self._staging)
        refuse_existing(self.target)
        if self.target.exists():
            self.target.rmdir()
        self._staging.rename(self.target)
        _sync_folder(self.target.parent)

    def _index(self) -> bytes:
        total = sum(slot.nbytes for slot in self.layout.slots.values())
        placed = {name: self.layout.files[slot.shard][0] for name, slot in sorted(self.layout.slots.items())}
        return (json.dumps({"metadata": {"total_size": total}, "weight_map": placed}, indent=2) + "\n").encode()

    def _take_lock(self) -> None:
        self._lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 200).decode(errors="replace") or "another run"
            os.close(self._lock)
            self._lock = -1
            must = "Only one run may write an output."
            raise OutputExistsError(
                Problem(must, f"a lock of {holder}", str(self.target), "Wait for it to end.")
            ) from None
        if not _same_file(self._lock, self._lock_file):  # the holder before us removed it between our open and lock
            os.close(self._lock)
            self._take_lock()
            return
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)

    def _abandon(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        shutil.rmtree(self._staging, ignore_errors=True)
        if self._lock >= 0:
            self._lock_file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1


def refuse_existing(target: Path) -> None:
    """Raise OutputExistsError where `target` is a file or a folder that is not empty."""
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        got = "a folder with files in it" if target.is_dir() else "a file"
        advice = "Choose another folder, or remove it yourself."
        raise OutputExistsError(Problem("The output folder must be new or empty.", got, str(target), advice))


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            Problem(f"The disk must have {needed:,} bytes free.", f"{free:,}", str(folder), "Free some.")
        )


def _preallocate(descriptor: int, size: int, target: Path) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ResourceError(Problem(f"The disk must hold {size:,} bytes.", "a full disk", str(target))) from None
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.ftruncate(descriptor, size)


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], offset + done)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
