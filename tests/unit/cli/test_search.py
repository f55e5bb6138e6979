"""`suture search` from the command line: tables, files, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from suture.cli.app import app
from suture.data.records import Record, write_items
from suture.errors import UsageError
from suture.testing.tiny import tiny_model

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    text = "Reports a cough, takes amoxicillin."
    records = [Record(f"r{k}", "clinic", f"e{k}", "note", "", f"{text} {k}", "test", "Apache-2.0") for k in range(30)]
    write_items(folder / "items.jsonl", records)
    models = {role: str(tiny_model(folder / role, seed=seed)) for seed, role in enumerate(("general", "clinical"))}
    path = folder / "space.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "name": "cli",
                "recipe": models,
                "methods": ["linear"],
                "vary": {"coefficient": {"step": 0.5}},
                "objectives": [{"task": "clinic_likelihood", "items": str(folder / "items.jsonl")}],
                "candidates": 3,
            }
        )
    )
    return path


def test_tables_and_files(space: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["search", str(space), "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0
    for words in ("Candidates", "Front of those left", "opening 1", "has the highest value", "recommended.yaml"):
        assert words in done.output
    held = json.loads((tmp_path / "out" / "result.json").read_text())
    again = CliRunner().invoke(app, ["search", str(space), "--out", str(tmp_path / "out"), "--json"])
    assert json.loads(again.output) == held


def test_an_unknown_parameter_is_named(space: Path, tmp_path: Path) -> None:
    wrong = yaml.safe_load(space.read_text())
    wrong["vary"] = {"coefficent": {}}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(wrong))
    done = CliRunner().invoke(app, ["search", str(path), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, UsageError)
    assert "Did you mean 'coefficient'?" in str(done.exception)
    assert not (tmp_path / "out").exists()
