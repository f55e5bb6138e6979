from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from suture.checkpoint.lock import OutputLock
from suture.checkpoint.save import save_model
from suture.errors import OutputExistsError, ResourceError


def saving(*names: str, error: Exception | None = None) -> Any:
    """Stands for a model or a tokenizer: writes files of these names, then raises."""

    def save_pretrained(folder: Path, safe_serialization: bool = True) -> None:
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)
        if error is not None:
            raise error

    return SimpleNamespace(save_pretrained=save_pretrained)


def test_a_model_appears_with_all_its_files_and_nothing_beside(tmp_path: Path) -> None:
    save_model(
        saving("model.safetensors", "chat_templates/tool.jinja"), saving("tokenizer.json"), tmp_path / "in" / "out"
    )
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == [f"in/out/{name}" for name in ("chat_templates/tool.jinja", "model.safetensors", "tokenizer.json")]


def test_every_file_and_folder_is_synced_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def renamed(old: Path, new: Path) -> None:
        events.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    save_model(saving("model.safetensors"), saving("tokenizer.json"), tmp_path / "out")
    assert set(events[:3]) == {"model.safetensors", "tokenizer.json", ".out.partial"}
    assert events[3:] == ["rename", tmp_path.name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_of_the_disk_is_named_and_nothing_is_left(tmp_path: Path, code: int) -> None:
    from safetensors import SafetensorError

    for error in (OSError(code, os.strerror(code)), SafetensorError(f"I/O error: {os.strerror(code)}")):
        with pytest.raises(ResourceError, match=f"(?i){os.strerror(code)}"):
            save_model(saving("model.safetensors", error=error), saving(), tmp_path / "out")
        assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        save_model(saving("model.safetensors"), saving("tokenizer.json", error=ZeroDivisionError()), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_exists_or_is_being_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(OutputExistsError):
        save_model(saving("model.safetensors"), saving(), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    with OutputLock(tmp_path / "other"), pytest.raises(OutputExistsError, match="a lock of process"):
        save_model(saving("model.safetensors"), saving(), tmp_path / "other")
    assert not (tmp_path / "other").exists()
