"""Bad input: one clear message each, the documented exit code, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.cli import main
from suture.data.records import Record, write_items
from suture.testing.tiny import tiny_model

RECORD = Record("r1", "test", "e1", "plan", "Cough for two days.", "Start amoxicillin.", "train", "none")


def _fails(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return int(caught.value.code or 0), err


def _recipe(folder: Path, general: Path, clinical: Path, text: str = "") -> Path:
    path = folder / "recipe.yaml"
    entries = [f"  - {{model: {model}, parameters: {{weight: 0.5}}}}" for model in (general, clinical)]
    path.write_text("\n".join([text or "merge_method: linear", "models:", *entries, f"general: {general}"]) + "\n")
    return path


def test_a_missing_model_folder(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = _fails(capsys, "merge", _recipe(tmp_path, tiny_pair[0], tmp_path / "none"), tmp_path / "out")
    assert (code, "no such folder" in err) == (3, True)
    assert str(tmp_path / "none") in err
    assert not (tmp_path / "out").exists()


def test_a_pickle_instead_of_safetensors(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "config.json").write_text((tiny_pair[0] / "config.json").read_text())
    (bad / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    code, err = _fails(capsys, "merge", _recipe(tmp_path, tiny_pair[0], bad), tmp_path / "out")
    assert code == 3
    assert "pickle" in err
    assert not (tmp_path / "out").exists()


def test_models_of_different_shape(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other = tiny_model(tmp_path / "other", hidden=48)
    code, err = _fails(capsys, "merge", _recipe(tmp_path, tiny_pair[0], other), tmp_path / "out")
    assert code == 4
    assert "Shapes must be those of" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("merge_method: liner", "linear"),
        ("merge_method: linear\nnormalise: true", "'normalise' is not a known key"),
        ("merge_method: linear\nout_dtyp: float32", "Did you mean 'out_dtype'?"),
    ],
)
def test_a_recipe_that_does_not_hold(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    code, err = _fails(capsys, "plan", _recipe(tmp_path, *tiny_pair, text))
    assert code == 2
    assert message in err
    assert "recipe.yaml, line " in err


def test_a_coefficient_out_of_range(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    general, clinical = tiny_pair
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"merge_method: slerp\nbase_model: {general}\nmodels: [{{model: {clinical}}}]\nparameters: {{t: 1.5}}\n"
    )
    code, err = _fails(capsys, "merge", path, tmp_path / "out")
    assert (code, err) == (2, f"error: {path}, line 4, parameters.t: t must be a float in [0, 1]. Got 1.5.\n")
    assert not (tmp_path / "out").exists()


def test_an_existing_output_folder_is_left_alone(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("kept")
    records = tmp_path / "records.jsonl"
    write_items(records, [RECORD])
    for words in (("merge", _recipe(tmp_path, *tiny_pair), out), ("adapt", tiny_pair[0], out, "--data", records)):
        code, err = _fails(capsys, *words)
        assert code == 5
        assert str(out) in err
    assert [path.name for path in out.iterdir()] == ["precious"]


def test_a_data_file_with_missing_columns(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps({"id": "r1", "input": "secret text"}) + "\n")
    code, err = _fails(capsys, "adapt", tiny_pair[0], tmp_path / "out", "--data", path)
    assert code == 3
    assert "records.jsonl, line 1: Each line must have the fields" in err
    assert "secret" not in err
    assert not (tmp_path / "out").exists()


def test_more_shots_than_examples(
    tmp_path: Path, tiny_pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    write_items(tmp_path / "records.jsonl", [RECORD])
    words = ("adapt", tiny_pair[0], tmp_path / "out", "--data", tmp_path / "records.jsonl", "--shots", 2)
    assert _fails(capsys, *words)[0] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eval", "m", "--task", "contrst"), "Did you mean contrast?"),
        (("eval", "m", "--task", "mts_section"), "mts_section needs MTS-Dialog"),
        (("eval", "m", "--task", "drift"), "It is part of a study."),
        (("compare", "general", "--against", "general"), "label=FOLDER"),
        (("methods", "liner"), 'Did you mean "linear"?'),
        (("study", "run", "none.yaml", "--nonsense"), "--nonsense"),
    ],
)
def test_a_command_that_does_not_hold(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    code, err = _fails(capsys, *words)
    assert code == 2
    assert message in err


def test_a_missing_study_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert _fails(capsys, "study", "run", "none.yaml")[0] == 3
    assert _fails(capsys, "report", "none")[0] == 3


def test_a_folder_of_something_else_is_no_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    study = Path(__file__).parents[3] / "studies" / "smollm2.yaml"
    code, err = _fails(capsys, "study", "plan", study, "--out", tmp_path / "out")
    assert (code, "The folder must be new or a study's." in err) == (5, True)


def test_an_unforeseen_error_is_one_line_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(name: str) -> None:
        raise ValueError("patient text")

    monkeypatch.setattr("suture.methods.registry.get_method", broken)
    code, err = _fails(capsys, "methods", "linear")
    assert code == 1
    assert err.startswith("unforeseen error: ValueError at test_bad_input.py, line ")
    assert "patient" not in err


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("suture.methods.registry.get_method", stopped)
    code, err = _fails(capsys, "methods", "linear")
    assert (code, "Run the same command again" in err) == (9, True)
