from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

import pytest

from suture.checkpoint.lock import OutputLock
from suture.errors import OutputExistsError, ResourceError


def test_a_held_lock_names_its_holder(tmp_path: Path) -> None:
    with (
        OutputLock(tmp_path / "out"),
        pytest.raises(OutputExistsError) as caught,
        OutputLock(tmp_path / "out"),
    ):
        pass
    assert re.search(
        rf"a lock of process {os.getpid()} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d", str(caught.value)
    )
    assert not list(tmp_path.iterdir())


def test_locks_of_two_outputs_do_not_meet(tmp_path: Path) -> None:
    with OutputLock(tmp_path / "one"), OutputLock(tmp_path / "two"):
        assert len(list(tmp_path.iterdir())) == 2


def test_what_a_dead_holder_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".out.suture-lock").write_text("process 1 on nowhere since " + "9" * 100)
    with OutputLock(tmp_path / "out"):
        assert (tmp_path / ".out.suture-lock").read_text().startswith(f"process {os.getpid()} on ")
        assert not (tmp_path / ".out.suture-lock").read_text().endswith("9")
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(ResourceError, match="must have file locks"), OutputLock(tmp_path / "out"):
        pass
