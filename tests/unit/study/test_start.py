"""`suture start`: the pair is looked at, a study is drafted that loads, plans and runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from suture.errors import IncompatibleError
from suture.study.schema import load_study
from suture.study.start import draft, findings, look_at_pair, look_at_task
from suture.testing.command import letters_task, run_command
from suture.testing.tiny import tiny_model


def _task(folder: Path, *, train: int = 20, leaks: int = 1) -> Path:
    notes = [("train", f"Note {number} is of a cough that came {number} days ago.") for number in range(train)]
    repeated = "The same eight words stand in both of these notes."
    notes += [("train", f"{repeated} Number {number}.") for number in range(leaks)]
    notes += [("test", repeated), ("test", "A rash on the left arm, itching, no fever, since two weeks or more.")]
    rows = [{"note": note, "letter": f"Letter {index}.", "split": split} for index, (split, note) in enumerate(notes)]
    return letters_task(folder, rows)


def _models(folder: Path, dtype: str = "float32") -> tuple[str, str, str]:
    names = ("general", "clinical", "base")
    return tuple(str(tiny_model(folder / name, seed=seed, dtype=dtype)) for seed, name in enumerate(names))  # type: ignore[return-value]


def test_a_study_is_written_that_loads_and_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    general, clinical, base = _models(tmp_path)
    out = tmp_path / "studies" / "letters.yaml"
    out.parent.mkdir()
    assert run_command("start", general, clinical, "--ancestor", base, "--task", _task(tmp_path), "--out", out) == 0
    printed = capsys.readouterr().out
    for told in ("all fit", "the same files", "20 rows to learn from, 1 left out", "What it costs", "suture study run"):
        assert told in printed
    study = load_study(out)
    assert study.adapt[0].shots == (16,)
    assert {merge.method for merge in study.merges} >= {"linear", "task_arithmetic", "ties"}
    assert [run.n for run in study.evaluation.tasks.values()][-1] == 2
    assert not (tmp_path / "runs").exists()
    assert run_command("start", general, clinical, "--task", _task(tmp_path), "--out", out) == 5
    assert "The study file must be new." in capsys.readouterr().err


def test_narrow_models_are_merged_narrow_and_told_what_rounding_leaves(tmp_path: Path) -> None:
    general, clinical, _ = _models(tmp_path, "bfloat16")
    pair, task = look_at_pair(general, clinical, None), look_at_task(_task(tmp_path, train=3, leaks=0))
    told = {found.what: found.found for found in findings(pair, task)}
    assert "stochastic rounding" in told["coefficients in bfloat16"]
    path = tmp_path / "study.yaml"
    path.write_text(draft(pair, task, path, None))
    study = load_study(path)
    assert study.dtype == "bfloat16"
    assert study.adapt == ()  # three rows are too few
    assert study.tasks[0].name == "letters"


def test_the_ancestor_as_a_parent_leaves_one_task_vector(tmp_path: Path) -> None:
    general, clinical, _ = _models(tmp_path)
    pair, task = look_at_pair(general, clinical, general), look_at_task(_task(tmp_path))
    told = {found.what: found.found for found in findings(pair, task)}
    assert "one task vector, not two" in told["task vectors"]
    assert "task_arithmetic" not in draft(pair, task, tmp_path / "study.yaml", None)


def test_a_model_without_a_chat_template_is_named(tmp_path: Path) -> None:
    general, plain = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b", seed=1, chat_template=False)
    told = [
        found.what for found in findings(look_at_pair(str(general), str(plain), None), look_at_task(_task(tmp_path)))
    ]
    assert "chat template of the clinical model" in told


def test_the_same_weights_twice_are_refused(tmp_path: Path) -> None:
    general = tiny_model(tmp_path / "general")
    again = shutil.copytree(general, tmp_path / "again")
    with pytest.raises(IncompatibleError, match="must differ"):
        look_at_pair(str(general), str(again), None)


def test_models_that_do_not_fit_are_refused_before_a_file_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    general, wide = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b", hidden=64)
    out = tmp_path / "study.yaml"
    assert run_command("start", general, wide, "--task", _task(tmp_path), "--out", out) == IncompatibleError.exit_code
    assert not out.exists()
    assert "instead of" in capsys.readouterr().err


def test_data_sets_that_are_there_are_asked(tmp_path: Path) -> None:
    general, clinical, _ = _models(tmp_path)
    questions = tmp_path / "data" / "questions" / "US" / "4_options"
    questions.mkdir(parents=True)
    (questions / "phrases_no_exclude_test.jsonl").write_text("{}\n")
    pair, task = look_at_pair(general, clinical, None), look_at_task(_task(tmp_path))
    path = tmp_path / "study.yaml"
    path.write_text(draft(pair, task, path, tmp_path / "data"))
    study = load_study(path)
    assert "medqa" in study.evaluation.tasks
    assert "clinic_mcq" not in study.evaluation.tasks
    assert study.data.folder == str(tmp_path / "data")
