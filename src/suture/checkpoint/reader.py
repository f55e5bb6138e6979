"""Reads tensors by positioned reads into the caller's buffers, and notices a file that changes meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from suture.checkpoint.header import Checkpoint, TensorInfo
from suture.errors import BadInputError, IntegrityError, Problem

BLOCK_BYTES = 1 << 20
AGAIN = "Check the disk, then run the same command again: what is finished is not computed twice."


class TensorReader:
    """The open weight files of one checkpoint. Reads are positioned, so threads may share it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._files: dict[Path, tuple[int, tuple[int, ...]]] = {}

    def __enter__(self) -> TensorReader:
        for file in self.checkpoint.files:
            descriptor = os.open(file, os.O_RDONLY)
            self._files[file] = (descriptor, _identity(os.fstat(descriptor)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor, _ in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def read_into(self, info: TensorInfo, start: int, buffer: memoryview) -> None:
        """Fill `buffer` (bytes) with the tensor's bytes from byte `start` on.

        Raises BadInputError at a file that is short or that the disk does not give.
        """
        descriptor, _ = self._files[info.file]
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(descriptor, [buffer[done:]], info.offset + start + done)
            except OSError as error:
                got = f"{os.strerror(error.errno or 0).lower()} in '{info.name}'"
                raise BadInputError(Problem("An input must be readable.", got, str(info.file), AGAIN)) from None
            if count == 0:
                raise BadInputError(
                    Problem("The file must hold every tensor whole.", f"its end in '{info.name}'", str(info.file))
                )
            done += count

    def blocks(self, info: TensorInfo) -> Iterator[memoryview]:
        """Yield the tensor's bytes in order; each block is valid until the next one is asked for."""
        buffer = memoryview(bytearray(min(BLOCK_BYTES, info.nbytes)))
        for start in range(0, info.nbytes, BLOCK_BYTES):
            block = buffer[: min(BLOCK_BYTES, info.nbytes - start)]
            self.read_into(info, start, block)
            yield block

    def identity(self) -> str:
        """What tells these files from others: name, inode, size and time of each, as they were when opened.

        Not the device: its number may be another one after the machine has started again.
        """
        return "\n".join(f"{file.name} {identity[1:]}" for file, (_, identity) in self._files.items())

    def check_unchanged(self) -> None:
        """Raise IntegrityError where a file is not the one that was opened, or was written since."""
        for file, (descriptor, before) in self._files.items():
            if _identity(os.fstat(descriptor)) != before or _identity(file.stat()) != before:
                raise IntegrityError(
                    Problem("An input must not change during the run.", "a changed file", str(file), "Run it again.")
                )


def _identity(status: Any) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
