from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from suture.checkpoint import reader as reading
from suture.checkpoint.header import Checkpoint, read_checkpoint
from suture.checkpoint.reader import TensorReader
from suture.errors import BadInputError, IntegrityError

A, B = np.arange(10, dtype=np.float32), np.arange(10, dtype=np.float32)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    (tmp_path / "config.json").write_text("{}")
    save_file({"a": A, "b": B, "c": B + 1, "d": B.reshape(2, 5)}, tmp_path / "model.safetensors")
    return read_checkpoint(tmp_path)


def test_positioned_reads(checkpoint: Checkpoint) -> None:
    buffer = np.empty(3, np.float32)
    with TensorReader(checkpoint) as reader:
        reader.read_into(checkpoint.tensors["a"], 8, buffer.data.cast("B"))
        assert buffer.tolist() == [2, 3, 4]


def test_same_bytes_is_of_dtype_shape_and_bytes(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 16)
    found = checkpoint.tensors
    with TensorReader(checkpoint) as reader:
        assert reader.same_bytes(found["a"], found["b"])
        assert not reader.same_bytes(found["a"], found["c"])
        assert not reader.same_bytes(found["a"], found["d"])


def test_a_file_that_shrank_under_the_reader(checkpoint: Checkpoint) -> None:
    with TensorReader(checkpoint) as reader:
        os.truncate(checkpoint.files[0], checkpoint.tensors["d"].offset + 4)
        with pytest.raises(BadInputError, match="its end in 'd'"):
            list(reader.blocks(checkpoint.tensors["d"]))


def replaced(file: Path) -> None:
    shutil.copy(file, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


def grown(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"x")


def rewritten(file: Path) -> None:
    """The same size, and the time of modification set back: the inode's own time tells."""
    before = file.stat()
    with file.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"x")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "replaced": (replaced, "another file"),
    "grown": (grown, "another file|a changed file"),
    "rewritten": (rewritten, "another file|a changed file"),
    "removed": (Path.unlink, "none any more|FileNotFoundError"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_after_the_header_was_read(name: str, checkpoint: Checkpoint) -> None:
    change, said = CHANGES[name]
    change(checkpoint.files[0])
    with pytest.raises(IntegrityError, match=said), TensorReader(checkpoint):
        pass


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_during_the_run(name: str, checkpoint: Checkpoint) -> None:
    change: Callable[[Path], None]
    change, said = CHANGES[name]
    with TensorReader(checkpoint) as reader:
        reader.check_unchanged()
        change(checkpoint.files[0])
        with pytest.raises(IntegrityError, match=said):
            reader.check_unchanged()


def test_no_descriptor_is_left_open(checkpoint: Checkpoint) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with TensorReader(checkpoint) as reader:
        reader.check_unchanged()
    grown(checkpoint.files[0])
    with pytest.raises(IntegrityError), TensorReader(checkpoint):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
