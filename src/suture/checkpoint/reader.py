"""Reads tensors by positioned reads into the caller's buffers, and notices a file that changes meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from suture.checkpoint.header import Checkpoint, Stamp, TensorInfo, stamp
from suture.errors import BadInputError, IntegrityError, Problem, refuse

BLOCK_BYTES = 1 << 20
AGAIN = "Check the disk, then run the same command again: what is finished is not computed twice."


class TensorReader:
    """The open weight files of one checkpoint. Reads are positioned, so threads may share it.

    Raises IntegrityError on entry where a file is not the one whose header was read. `check_unchanged`, called after
    the last read, finds a file that was replaced, resized or written meanwhile, also where its time of modification
    was set back (so a change of mode or links counts too). It cannot find a write that a file system does not stamp,
    within one tick of its clock (some milliseconds) or by whoever sets the system's clock; the digests of what was
    read, in the manifest, show that one.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._files: dict[Path, tuple[int, Stamp]] = {}

    def __enter__(self) -> TensorReader:
        for index, file in enumerate(self.checkpoint.files):
            try:
                descriptor = os.open(file, os.O_RDONLY)
            except OSError as error:
                self._close()
                raise IntegrityError(_changed(file, type(error).__name__)) from None
            found = stamp(os.fstat(descriptor))
            self._files[file] = (descriptor, found)
            if self.checkpoint.stamps and found != self.checkpoint.stamps[index]:
                self._close()
                raise IntegrityError(_changed(file, "another file than its header was read from"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for descriptor, _ in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def descriptor(self, info: TensorInfo) -> int:
        """The open file in which the tensor lies, for loops that read by themselves."""
        return self._files[info.file][0]

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

    def same_bytes(self, one: TensorInfo, other: TensorInfo) -> bool:
        """Say whether two tensors have one dtype, one shape and the same bytes."""
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return False
        return all(a == b for a, b in zip(self.blocks(one), self.blocks(other), strict=True))

    def check_unchanged(self) -> None:
        """Raise IntegrityError where a file is not the one that was opened, or was written since, naming every one."""
        problems = []
        for file, (descriptor, before) in self._files.items():
            try:
                now = stamp(file.stat())
            except OSError:
                problems.append(_changed(file, "none any more"))
                continue
            if now[:2] != before[:2]:
                problems.append(_changed(file, "another file of its name"))
            elif now != before or stamp(os.fstat(descriptor)) != before:
                problems.append(_changed(file, "a changed file"))
        refuse(IntegrityError, problems)


def _changed(file: Path, got: str) -> Problem:
    return Problem("An input must not change during the run.", got, str(file), "Let nothing write it, and run again.")
