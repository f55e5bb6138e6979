"""A study of tasks beyond the built-in ones: a task file and a suite's task, with a control, replay, and all orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.testing.command import letters_task, run_command
from suture.testing.tiny import tiny_model

STUDY = """
name: own
title: Tasks of one's own
ancestor: {{model: {ancestor}}}
data:
  folder: $OWN_DATA
  instructions: {{seed: 1, train: 4}}
  texts: {{files: [{texts}], fields: [text]}}
tasks: [letters.yaml]
parents:
  general: {{}}
  clinical: {{learn: texts, settings: {{steps: 1, batch: 1, length: 32, learning_rate: 1.0e-4}}}}
controls:
  more general:
    {{of: general, learn: instructions, settings: {{steps: 1, batch: 1, length: 256, learning_rate: 1.0e-4}}}}
merges: [{{method: linear, at: 0.5}}]
adapt:
  - {{task: letters, starts: [general, more general, linear 0.5], shots: [1, 2], keep: adapter, settings: {settings}}}
  - {{task: letters, name: replay, starts: [general], shots: 2, replay: 2, settings: {settings}}}
  - {{task: mts_dialog, starts: [general], shots: 1, settings: {settings}}}
in_context: {{task: letters, starts: [general, linear 0.5], shots: [1, 2]}}
orders: {{shots: 2, arms: [tune general, graft, halve]}}
evaluation:
  tasks:
    contrast: {{n: 4}}
    letters: {{n: 2}}
    mts_dialog: {{n: 2, new_tokens: 3}}
gate: {{notes: [letters, rougeL], required: false}}
margins:
  - {{axis: clinical, task: letters, metric: rougeL, value: 5, reason: a test, planning_sd: 9, planning_source: a test}}
"""
SETTINGS = "{steps: 1, batch: 4, length: 700, learning_rate: 1.0e-4, lora_rank: 2, frozen_layers: 1}"


def _letters(folder: Path, patient: str) -> None:
    rows = [("train", f"{patient} {number} came with fever and cough.") for number in range(4)]
    rows += [("test", f"Visit {number}: knee pain for {number + 2} days, {patient}.") for number in range(3)]
    letters_task(
        folder,
        [
            {"note": note, "letter": f"Dear colleague, number {index}.", "split": split}
            for index, (split, note) in enumerate(rows)
        ],
    )


def _dialogues(folder: Path) -> None:
    header = "ID,section_header,section_text,dialogue\n"
    for name, count, about in (("TrainingSet", 4, "cough"), ("TestSet-1-MEDIQA-Chat-2023", 3, "rash")):
        lines = [
            f'{n},CC,"{about} number {n} of the day","Doctor: What is it? Patient: {about} {n}."' for n in range(count)
        ]
        (folder / f"MTS-Dialog-{name}.csv").write_text(header + "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("own")
    tiny_model(folder / "ancestor", seed=3)
    _letters(folder, "the lady")
    data = folder / "data" / "mts_dialog" / "Main-Dataset"
    data.mkdir(parents=True)
    _dialogues(data)
    (folder / "notes.jsonl").write_text(json.dumps({"text": "Fever, cough and wheeze. " * 40}) + "\n")
    path, out = folder / "study.yaml", folder / "out"
    path.write_text(STUDY.format(ancestor=folder / "ancestor", texts=folder / "notes.jsonl", settings=SETTINGS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OWN_DATA", str(folder / "data"))
        assert run_command("study", "run", path, "--out", out) == 0
    return path, out


def _scores(out: Path) -> set[tuple[str, str]]:
    found: dict[str, Any] = json.loads((out / "comparison.json").read_text())
    return {(score["model"], score["task"]) for score in found["scores"]}


def test_every_model_answers_what_it_was_made_for(study: tuple[Path, Path]) -> None:
    scored = _scores(study[1])
    asked = {task for model, task in scored if model == "general"}
    assert asked == {"contrast", "letters", "mts_dialog"}
    assert {task for model, task in scored if model == "general, letters, 2 shots"} == {"contrast", "letters"}
    assert {task for model, task in scored if model == "general, mts_dialog, 1 shots"} == {"contrast", "mts_dialog"}


def test_controls_variants_and_arms_are_models_of_their_own(study: tuple[Path, Path]) -> None:
    models = {model for model, _ in _scores(study[1])}
    assert {
        "more general", "more general, letters, 1 shots", "general, letters, replay, 2 shots",
        "general, half the adaptation, letters, 2 shots", "graft on linear 0.5, letters, 2 shots",
    } <= models  # fmt: skip
    digests = json.loads((study[1] / "comparison.json").read_text())["digests"]
    made = {label: digest for label, digest in digests.items() if "in context" not in label}
    assert len(set(made.values())) == len(made)


def test_a_model_with_examples_in_context_has_the_weights_of_its_start_and_another_prompt(
    study: tuple[Path, Path],
) -> None:
    shown = "linear 0.5, letters, 2 in context"
    assert {task for model, task in _scores(study[1]) if model == shown} == {"letters"}
    digests = json.loads((study[1] / "comparison.json").read_text())["digests"]
    assert digests[shown] == digests["linear 0.5"]
    kept = {
        name: json.loads((study[1] / name / digests[shown][:12] / "letters" / "meta.json").read_text())["key"]
        for name in ("results", "in-context-1-seed-0", "in-context-2-seed-0")
    }
    assert len({key.pop("examples", "none") for key in kept.values()}) == 3
    assert kept["results"] == kept["in-context-1-seed-0"] == kept["in-context-2-seed-0"]
    assert not (study[1] / "models" / shown.replace(",", "").replace(" ", "-")).exists()
    report = (study[1] / "report.html").read_text()
    assert "The weights of linear 0.5: 2 training records stand before each item as examples." in report
    assert "hence not evaluated twice" not in report


def test_the_learning_curve_is_that_of_the_adaptation_without_a_name(study: tuple[Path, Path]) -> None:
    curves = json.loads((study[1] / "curves.json").read_text())
    assert [(found["task"], found["adapted"]) for found in curves] == [("letters", "letters")]
    assert {point["start"] for point in curves[0]["points"]} == {"general", "more general", "linear 0.5"}


def test_a_model_kept_as_an_adapter_is_evaluated_whole_and_leaves_no_checkpoint(study: tuple[Path, Path]) -> None:
    models = study[1] / "models"
    adapter = models / "general-letters-2-shots"
    assert (adapter / "adapter_config.json").is_file()
    assert not list(adapter.glob("model*.safetensors"))
    assert (models / "general-letters-replay-2-shots" / "model.safetensors").is_file()
    assert not [path for path in study[1].glob("steps/evaluate-*/*") if path.is_dir() and path.name.startswith("tmp")]
    manifest = json.loads((models / "general-half-the-adaptation-letters-2-shots" / "manifest.json").read_text())
    assert manifest["realised"]["coefficient"] == pytest.approx(0.5, abs=1e-3)


def test_floors_come_from_rows_to_learn_from(study: tuple[Path, Path]) -> None:
    floors = {path.name for path in next(study[1].glob("steps/floors-*")).glob("floor-*/letters")}
    labels = {path.parent.name for path in study[1].glob("steps/floors-*/floor-*/letters")}
    assert floors == {"letters"}
    assert labels == {"floor-constant", "floor-copy", "floor-nearest"}


def test_a_kept_study_needs_its_task_file_no_more(study: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    path, out = study
    (path.parent / "letters.yaml").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OWN_DATA", str(path.parent / "data"))
        assert run_command("study", "status", out) == 0
    printed = capsys.readouterr().out.splitlines()[-1].split()
    assert printed[0] == printed[2]
