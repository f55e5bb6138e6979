"""What must not hurt a study: learnt texts that repeat the test, a loss that becomes NaN."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.errors import BadInputError, NumericError
from suture.testing.command import letters_task, run_command
from suture.testing.tiny import tiny_model

SECRET = "Miss Canary of the seventh floor had a fever of unknown origin"
STUDY = """
name: faults
title: What must not hurt
ancestor: {{model: {ancestor}}}
data:
  instructions: {{seed: 1}}
  clinic: {{seed: 1, train: 4, test: 4}}
  texts: {{files: [{texts}], fields: [text]}}
  allow_overlap: "{allowed}"
tasks: [letters.yaml]
parents:
  general: {{learn: notes, settings: {{steps: 1, batch: 1, length: 32, learning_rate: 1.0e-4}}}}
  clinical: {{learn: texts, settings: {{steps: 4, batch: 1, length: 32, learning_rate: {rate}}}}}
merges: [{{method: linear, at: 0.5}}]
evaluation: {{tasks: {{contrast: {{n: 4}}, letters: {{n: 2}}}}}}
gate: {{notes: [letters, rougeL], required: false}}
margins: []
"""


def _study(folder: Path, text: str, *, allowed: str = "", rate: float = 1e-4) -> Path:
    if not (folder / "ancestor").exists():
        tiny_model(folder / "ancestor", seed=3)
    rows = [{"note": f"{SECRET}, day {number}.", "letter": f"Letter {number}."} for number in range(3)]
    letters_task(folder, rows)
    (folder / "texts.jsonl").write_text(json.dumps({"text": text * 30}) + "\n")
    names = {"ancestor": folder / "ancestor", "texts": folder / "texts.jsonl", "allowed": allowed, "rate": rate}
    (folder / "study.yaml").write_text(STUDY.format(**names))
    return folder / "study.yaml"


def test_texts_that_repeat_the_test_are_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = _study(tmp_path, f"{SECRET}. "), tmp_path / "out"
    assert run_command("study", "plan", path, "--out", out) == BadInputError.exit_code
    assert run_command("study", "run", path, "--out", out) == BadInputError.exit_code
    printed = "".join(capsys.readouterr())
    assert "1 of 1 records of texts lesson that do: texts.jsonl-1" in printed
    assert "data.allow_overlap" in printed
    assert "Canary" not in printed
    assert not list(out.glob("steps/train-*"))
    assert not [path for path in out.rglob("*.json") if "Canary" in path.read_text()]
    assert run_command("study", "run", _study(tmp_path, f"{SECRET}. ", allowed="It is a test."), "--out", out) == 0
    assert "repeat test items of letters. It is a test." in (out / "report.html").read_text()


def test_a_loss_that_becomes_nan_fails_its_step_alone_and_the_study_goes_on_from_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = _study(tmp_path, "Cough and wheeze for two days, no fever. ", rate=1e30), tmp_path / "out"
    assert run_command("study", "run", path, "--out", out) == NumericError.exit_code
    printed = capsys.readouterr().err
    assert "step clinical, " in printed
    assert "Missing: " in printed
    assert list(out.glob("steps/evaluate-*"))  # of the general parent, which does not need it
    assert run_command("study", "status", out) == 0
    status = capsys.readouterr().out
    assert "failed: step clinical" in status
    assert "1 failed" in status
    before = {folder.name: folder.stat().st_mtime_ns for folder in out.glob("steps/*")}
    assert run_command("study", "run", _study(tmp_path, "Cough and wheeze for two days, no fever. "), "--out", out) == 0
    assert {name: (out / "steps" / name).stat().st_mtime_ns for name in before} == before
