"""Files whose tensors become known one by one: whole and private at the end, or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from suture.checkpoint.header import read_header
from suture.checkpoint.lock import OutputLock
from suture.checkpoint.spool import spooled_file, spooled_folder
from suture.errors import OutputExistsError, ResourceError


def test_a_folder_holds_tensors_and_files(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    with spooled_folder(tmp_path / "out", "x.safetensors", files) as spool:
        spool.add("a", np.arange(6.0).reshape(2, 3))
        spool.add("none", np.zeros((0, 4)))
        spool.add("b", np.array([1.0, 1.00390625, -3.0]), "BF16")
        files["note.json"] = b"{}"
        assert not (tmp_path / "out").exists()
    found = load_file(tmp_path / "out" / "x.safetensors")
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["none"].shape == (0, 4)
    assert torch.equal(found["b"], torch.tensor([1.0, 1.00390625, -3.0]).bfloat16())
    assert [info.name for info in read_header(tmp_path / "out" / "x.safetensors")][-1] == "b"
    assert (tmp_path / "out" / "note.json").read_bytes() == b"{}"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    for opened in (spooled_folder(tmp_path / "out", "x", {}), spooled_file(tmp_path / "out")):
        with pytest.raises(KeyError), opened as spool:
            spool.add("a", np.zeros(3), "I64")
        assert list(tmp_path.iterdir()) == []


def test_a_file_is_private(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        with spooled_file(tmp_path / "x.safetensors") as spool:
            spool.add("a", np.zeros(3))
            spool.metadata["statistic"] = "gram"
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == 0o600
    assert [info.name for info in read_header(tmp_path / "x.safetensors")] == ["a"]


def test_what_stands_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputExistsError), spooled_file(tmp_path / "file"):
        raise AssertionError("never entered")
    with pytest.raises(OutputExistsError), spooled_folder(tmp_path / "file", "x", {}):
        raise AssertionError("never entered")
    with OutputLock(tmp_path / "out"), pytest.raises(OutputExistsError), spooled_file(tmp_path / "out"):
        raise AssertionError("never entered")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="out"), spooled_file(tmp_path / "out"):
        raise OSError(28, "No space left on device")
