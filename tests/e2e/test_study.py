"""A whole miniature study on a two-layer random model: every stage to the report, and again with nothing to compute."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from suture.testing.command import run_command
from suture.testing.tiny import tiny_model

STUDY = """
name: tiny
title: A miniature study
synthetic: true
notes: [The models are random.]
ancestor: {{model: {ancestor}}}
data:
  clinic: {{seed: 1, train: 16, test: 8}}
  instructions: {{seed: 1, train: 8}}
parents:
  general: {{learn: instructions, settings: {{steps: 1, batch: 2, length: 512, learning_rate: 1.0e-5}}}}
  clinical: {{learn: notes, settings: {{steps: 1, batch: 2, length: 64, learning_rate: 1.0e-5}}}}
merges:
  - {{method: linear, at: 0.0}}
  - {{method: linear, at: 0.5}}
  - {{method: slerp, at: 0.5}}
  - {{method: task_arithmetic, weights: [1, 1]}}
record_rounding: bfloat16
adapt:
  task: clinic_summary
  starts: [linear 0.5]
  shots: 2
  settings: {{steps: 1, batch: 2, length: 900, learning_rate: 1.0e-4, lora_rank: 2}}
evaluation:
  tasks:
    contrast: {{n: 10}}
    clinic_likelihood: {{n: 4}}
    clinic_mcq: {{n: 4}}
    clinic_summary: {{n: 2, new_tokens: 3}}
    drift: {{n: 2, new_tokens: 2}}
  ancestor: [contrast]
  replicate: [contrast, clinic_summary]
gate: {{notes: [clinic_likelihood, log_likelihood], required: false}}
margins:
  - axis: instruction
    task: contrast
    metric: contrast
    value: 2.0
    reason: none, a test
    planning_sd: 8.0
    planning_source: none, a test
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("study")
    tiny_model(folder / "ancestor", seed=3)
    path, out = folder / "study.yaml", folder / "out"
    path.write_text(STUDY.format(ancestor=folder / "ancestor"))
    assert run_command("study", "run", path, "--out", out) == 0
    return path, out


def _steps(out: Path) -> dict[str, float]:
    return {path.parent.name: path.stat().st_mtime for path in out.glob("steps/*/done.json")}


def _comparison(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "comparison.json").read_text())
    return found


def test_equal_weights_are_evaluated_once(study: tuple[Path, Path]) -> None:
    found = _comparison(study[1])
    assert found["models"] == [
        "ancestor", "general", "linear 0.5", "task arithmetic", "clinical", "linear 0.5, 2 shots",
    ]  # fmt: skip
    assert len(set(found["digests"].values())) == len(found["models"])
    folders = [path.name for path in (study[1] / "results").iterdir() if path.is_dir()]
    assert sorted(folders) == sorted(digest[:12] for digest in found["digests"].values())


def test_every_model_has_every_axis(study: tuple[Path, Path]) -> None:
    scored = {(score["model"], score["task"]) for score in _comparison(study[1])["scores"]}
    tasks = ("contrast", "clinic_likelihood", "clinic_mcq", "clinic_summary", "drift")
    models = ("general", "linear 0.5", "task arithmetic", "clinical", "linear 0.5, 2 shots")
    assert scored == {("ancestor", "contrast"), *((model, task) for model in models for task in tasks)}


def test_the_comparison_holds_the_flip_rate_of_a_model_evaluated_twice(study: tuple[Path, Path]) -> None:
    rows = _comparison(study[1])["replicates"]
    assert {(row["model"], row["against"], row["task"]) for row in rows} == {
        ("A/A", "general", "contrast"), ("A/A", "general", "clinic_summary"),
    }  # fmt: skip
    rates = {(row["task"], row["metric"]): row["flip_rate"] for row in rows}
    assert rates["contrast", "contrast_sign"] == 0.0  # the same weights on one machine
    assert rates["contrast", "contrast"] is None  # no 0/1 metric
    assert "Noise (A/A)" in (study[1] / "report.html").read_text()


def test_the_report_shows_models_recipes_and_the_slider(study: tuple[Path, Path]) -> None:
    page = (study[1] / "report.html").read_text()
    for text in ("A miniature study", "The models are random.", "task_arithmetic", "not evaluated twice"):
        assert text in page
    digest = _comparison(study[1])["digests"]["linear 0.5"]
    assert digest in page
    manifest = json.loads((study[1] / "models" / "linear-0.5" / "manifest.json").read_text())
    assert manifest["weights_digest"] == digest
    assert manifest["realised"]["coefficient"] == pytest.approx(0.5, abs=1e-3)


def test_a_second_run_computes_nothing(study: tuple[Path, Path]) -> None:
    path, out = study
    before = _steps(out)
    assert run_command("study", "run", path, "--out", out) == 0
    assert _steps(out) == before


def test_status_names_every_step_and_clean_removes_none_that_is_used(
    study: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = study[1]
    before = _steps(out)
    (out / "steps" / "merge-000000000000").mkdir()
    (out / "training" / "adapt-000000000000.partial").mkdir(parents=True)
    assert run_command("study", "status", out) == 0
    assert "to do" not in capsys.readouterr().out
    assert run_command("study", "clean", out) == 0
    assert "2 folders removed" in capsys.readouterr().out
    assert _steps(out) == before
    assert not (out / "training").exists()


def test_where_the_gate_is_not_passed_no_merge_is_evaluated(
    study: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = study
    strict = yaml.safe_load(path.read_text())
    strict["gate"]["required"] = True
    (tmp_path / "strict.yaml").write_text(yaml.safe_dump(strict))
    before = _steps(out).keys()
    assert run_command("study", "run", tmp_path / "strict.yaml", "--out", out) == 0
    assert "No forgetting to mitigate" in capsys.readouterr().out
    assert _comparison(out)["models"] == ["ancestor", "general", "clinical"]
    assert sorted(name.split("-")[0] for name in _steps(out).keys() - before) == ["compare", "gate"]


def test_a_report_without_text_holds_no_answer(study: tuple[Path, Path]) -> None:
    out = study[1]
    assert run_command("report", out, "--no-text") == 0
    assert "Summarize this clinical text" not in (out / "report.html").read_text()


def test_a_grid_of_shots_and_seeds_becomes_curves_and_parity(study: tuple[Path, Path], tmp_path: Path) -> None:
    told = yaml.safe_load(study[0].read_text())
    told["adapt"] |= {"starts": ["general", "linear 0.5"], "shots": [2, 3], "seed": [0, 1], "steps": {3: 2}}
    told["adapt"]["starts"].append("clinical")
    told["orders"] = {"shots": 2}
    out = tmp_path / "out"
    shutil.copytree(study[1], out, symlinks=True)
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(told))
    assert run_command("study", "run", tmp_path / "grid.yaml", "--out", out) == 0
    found = json.loads((out / "curves.json").read_text())
    assert [(curves["task"], curves["metric"]) for curves in found] == [("contrast", "contrast")]
    points = [(p["start"], p["shots"], p["seeds"]) for p in found[0]["points"]]
    assert points == [
        ("general", 0, 1), ("general", 2, 2), ("general", 3, 2),
        ("linear 0.5", 0, 1), ("linear 0.5", 2, 2), ("linear 0.5", 3, 2),
        ("clinical", 0, 1), ("clinical", 2, 2), ("clinical", 3, 2),
    ]  # fmt: skip
    arms = ["tune both, then linear 0.5", "tune general, then linear 0.5", "graft on linear 0.5"]
    assert set(_comparison(out)["models"]) >= {f"{arm}, 2 shots, seed {seed}" for arm in arms for seed in (0, 1)}
    _holds_the_sum(out / "models")
    assert [(p["start"], p["rivals"], p["largest"]) for p in found[0]["parities"]] == [
        ("linear 0.5", ["general", "clinical"], 3)
    ]
    page = (out / "report.html").read_text()
    assert "Shots to parity" in page
    assert "Learning and forgetting" in page
    assert len(list((out / "models").glob("general-3-shots-seed-*"))) == 2


def _holds_the_sum(models: Path) -> None:
    """The grafted model is merge + (adapted general - general)."""
    from suture.checkpoint.load import load_model

    names = ("graft-on-linear-0.5-2-shots-seed-1", "linear-0.5", "general-2-shots-seed-1", "general")
    grafted, merged, tuned, start = (load_model(models / name)[0].state_dict() for name in names)
    moved = 0.0
    for name, tensor in grafted.items():
        assert (tensor - (merged[name] + tuned[name] - start[name])).abs().max() < 1e-5
        moved += float((tuned[name] - start[name]).abs().sum())
    assert moved > 0
