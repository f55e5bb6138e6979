"""A safetensors file whose tensors become known one after the other: kept on disk as they come, whole at the end.

Nothing stands at the target until everything is written and synced; whoever is killed leaves the target as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from suture.checkpoint import disk
from suture.checkpoint.lock import OutputLock
from suture.checkpoint.target import put_in_place, refuse_existing
from suture.errors import OutputExistsError, Problem
from suture.kernels.stored import narrow

_BITS: dict[str, type[np.unsignedinteger[Any]]] = {"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}


class Spool:
    """The tensors so far: their bytes in an open file, their places in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._header: dict[str, object] = {}
        self._end = 0
        self.metadata: dict[str, str] = {"format": "pt"}

    def add(self, name: str, values: NDArray[np.floating[Any]], dtype: str = "F32") -> None:
        """Keep one tensor, rounded to nearest. dtype: F32, F16 or BF16."""
        plain = np.ascontiguousarray(values, np.float32).ravel()
        raw = np.empty(plain.size, _BITS[dtype])
        narrow(plain, dtype, raw, rounding="nearest", key=np.uint64(0), start=0)
        self._stream.write(raw.data.cast("B") if raw.size else b"")
        begin, self._end = self._end, self._end + raw.nbytes
        self._header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [begin, self._end]}

    def write(self, file: Path, mode: int) -> None:
        """Write the safetensors file, synced."""
        text = json.dumps({"__metadata__": self.metadata, **self._header}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self._stream.seek(0)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            shutil.copyfileobj(self._stream, out, 8 << 20)
            out.flush()
            os.fsync(out.fileno())


@contextmanager
def spooled_folder(target: Path, name: str, files: Mapping[str, bytes]) -> Iterator[Spool]:
    """Yield a spool; at the end of the block the new folder `target` holds it as the file `name`, and `files`.

    files may be filled within the block. Raises OutputExistsError where something stands at the target or another run
    writes it, ResourceError where the disk is full.
    """
    staging = target.with_name(f".{target.name}.suture-partial")
    with disk.named_errors(target, 0):
        target.parent.mkdir(parents=True, exist_ok=True)
        with OutputLock(target):
            refuse_existing(target)
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                with _temporary(staging) as stream:
                    spool = Spool(stream)
                    yield spool
                    spool.write(staging / name, 0o644)
                for small, content in files.items():
                    with (staging / small).open("wb") as out:
                        out.write(content)
                        out.flush()
                        os.fsync(out.fileno())
                disk.sync_folder(staging)
                put_in_place(staging, target, overwrite=False)
                disk.sync_folder(target.parent)
            finally:
                shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def spooled_file(target: Path, *, mode: int = 0o600) -> Iterator[Spool]:
    """Yield a spool; at the end of the block it is the new file `target`. Raises as `spooled_folder` does."""
    partial = target.with_name(f".{target.name}.suture-partial")
    with disk.named_errors(target, 0):
        target.parent.mkdir(parents=True, exist_ok=True)
        with OutputLock(target):
            refuse_file(target)
            partial.unlink(missing_ok=True)
            try:
                with _temporary(target.parent) as stream:
                    spool = Spool(stream)
                    yield spool
                    spool.write(partial, mode)
                refuse_file(target)
                partial.rename(target)
                disk.sync_folder(target.parent)
            finally:
                partial.unlink(missing_ok=True)


def refuse_file(target: Path) -> None:
    """Raise OutputExistsError where anything stands at `target`."""
    if target.exists() or target.is_symlink():
        advice = "Choose another name, or remove it yourself."
        raise OutputExistsError(Problem("The output file must be new.", "one that exists", str(target), advice))


@contextmanager
def _temporary(folder: Path) -> Iterator[IO[bytes]]:
    """A file without a name, readable by its owner alone: it ends with the process."""
    import tempfile

    with tempfile.TemporaryFile(dir=folder) as stream:
        yield stream
