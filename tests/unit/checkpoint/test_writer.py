from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.writer import CheckpointWriter, lay_out
from suture.errors import IntegrityError, OutputExistsError, ResourceError

TENSORS = [("b", "F32", (2, 3)), ("a", "BF16", (5,)), ("c", "F32", ())]
VALUES = {"b": np.arange(6, dtype=np.float32), "a": np.arange(5, dtype=np.uint16), "c": np.ones(1, dtype=np.float32)}


def write(target: Path, max_shard_bytes: int = 1 << 30) -> None:
    layout = lay_out(TENSORS, max_shard_bytes)
    with CheckpointWriter(target, layout) as writer:
        for name, values in reversed(VALUES.items()):
            data = memoryview(values).cast("B")
            half = len(data) // 4 * 2
            writer.write(layout.slots[name], half, data[half:])
            writer.write(layout.slots[name], 0, data[:half])
        writer.publish({"config.json": b"{}"})


@pytest.mark.parametrize(("limit", "files"), [(1 << 30, 1), (30, 2), (1, 3)])
def test_what_was_written_is_read_back(tmp_path: Path, limit: int, files: int) -> None:
    write(tmp_path / "out", limit)
    checkpoint = read_checkpoint(tmp_path / "out")
    assert len(checkpoint.files) == files
    assert list(checkpoint.tensors) == ["b", "a", "c"]
    with TensorReader(checkpoint) as reader:
        for name, info in checkpoint.tensors.items():
            assert b"".join(bytes(block) for block in reader.blocks(info)) == VALUES[name].tobytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_nothing_is_left_of_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), CheckpointWriter(tmp_path / "out", lay_out(TENSORS, 1 << 30)):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_an_existing_output_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="new or empty"):
        write(tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_a_second_run_is_kept_out(tmp_path: Path) -> None:
    layout = lay_out(TENSORS, 1 << 30)
    with CheckpointWriter(tmp_path / "out", layout):
        with pytest.raises(OutputExistsError, match="a lock of process"):
            CheckpointWriter(tmp_path / "out", layout).__enter__()
        assert (tmp_path / ".out.suture-partial").is_dir()


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".out.suture-partial").mkdir()
    (tmp_path / ".out.suture-partial" / "half").write_text("half")
    (tmp_path / ".out.suture-lock").write_text("process 1 on nowhere")
    write(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_a_disk_too_small_is_refused_before_writing(tmp_path: Path) -> None:
    layout = lay_out([("a", "F32", (2**50,))], 1 << 60)
    with pytest.raises(ResourceError, match="bytes free"), CheckpointWriter(tmp_path / "out", layout):
        pass
    assert not list(tmp_path.iterdir())


def test_an_input_that_changes_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "out")
    checkpoint = read_checkpoint(tmp_path / "out")
    with TensorReader(checkpoint) as reader:
        reader.check_unchanged()
        with checkpoint.files[0].open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(IntegrityError, match="must not change"):
            reader.check_unchanged()
