"""A word planted in every item is found in no artefact, message or line of a run but in the private items."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from suture.cli import main
from suture.evaluate.engine import Engine
from suture.testing.tiny import tiny_model

from .conftest import CANARY


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "one", seed=1)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def holders(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()}


def test_no_artefact_but_the_items_holds_a_planted_word(
    model: Path,
    official: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = Engine.generate

    def repeating(self: Engine, prompts: Any, **settings: Any) -> Any:
        """A model that repeats what it reads, so that answers hold the word too."""
        from dataclasses import replace

        found = answer(self, prompts, **{**settings, "max_new_tokens": 4})
        return [replace(given, text=f"{CANARY} was said") for given in found]

    monkeypatch.setattr(Engine, "generate", repeating)
    out = tmp_path / "results"
    suites = ("--suite", "medical", "--suite", "clinical", "--suite", "general")
    assert run("eval", str(model), *suites, "--data", str(official), "--out", str(out)) == 0
    assert run("data", "prepare", str(tmp_path / "prepared"), "--data", str(official)) == 0
    assert holders(out) == {"items.parquet"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in out.rglob("*") if path.is_file())
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in out.rglob("*") if path.is_dir())
    assert all(name.endswith(".jsonl") for name in holders(tmp_path / "prepared"))
    shown = capfd.readouterr()
    assert "MedQA" in shown.out
    assert CANARY not in shown.out + shown.err + caplog.text


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_failure_in_the_middle_quotes_nothing(
    model: Path,
    official: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    debug: tuple[str, ...],
) -> None:
    def failing(self: Engine, prompts: Any, **settings: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Engine, "generate", failing)
    words = ("eval", str(model), "--task", "meqsum", "--data", str(official), "--out", str(tmp_path))
    assert run(*words, *debug) == 1
    shown = capfd.readouterr()
    assert "RuntimeError" in shown.err
    assert CANARY not in shown.out + shown.err
