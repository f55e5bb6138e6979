from __future__ import annotations

from pathlib import Path

import pytest

from suture.checkpoint.resolve import resolve_model
from suture.errors import BadInputError


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert resolve_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("reference", ["/no/such/folder", "no-such-folder", "a/b/c"])
def test_a_missing_folder(reference: str) -> None:
    with pytest.raises(BadInputError, match="no such folder"):
        resolve_model(reference)


def test_a_file_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BadInputError, match="the folder that holds it"):
        resolve_model(str(tmp_path / "model.safetensors"))


def test_a_hub_id_is_sought_in_the_cache_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    asked: list[bool] = []

    def snapshot(name: str, **options: object) -> str:
        asked.append(bool(options["local_files_only"]))
        if name == "org/there" and options["revision"] == "main":
            return str(tmp_path)
        raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert resolve_model("org/there@main") == tmp_path
    with pytest.raises(BadInputError, match="--online"):
        resolve_model("org/missing")
    assert asked == [True, True]
    assert resolve_model("org/there@main", online=True) == tmp_path
    assert asked[-1] is False
