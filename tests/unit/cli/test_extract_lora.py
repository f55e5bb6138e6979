"""`suture extract-lora`: what it prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.cli import main


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def test_the_command(tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    general, clinical = tiny_pair
    assert run("extract-lora", clinical, general, tmp_path / "out", "--rank", 4, "--dtype", "bfloat16") == 0
    said = capsys.readouterr().out
    assert "energy kept: 0." in said
    assert "ranks 4 to 4" in said
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "extraction.json")
    }
    assert run("extract-lora", clinical, general, tmp_path / "out", "--rank", 4) == 5
    assert run("extract-lora", clinical, general, tmp_path / "other") == 2
    assert run("extract-lora", clinical, tmp_path / "none", tmp_path / "other", "--energy", 0.5) == 3
    assert not (tmp_path / "other").exists()
