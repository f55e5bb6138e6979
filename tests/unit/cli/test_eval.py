"""`suture eval`: what it says is missing before anything is computed, and what it prints at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.cli import main
from suture.evaluate import run
from suture.evaluate.items import read_rows
from suture.testing.tiny import tiny_model

SECRET = "Zebrafish rash"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_model(folder / "one", seed=1), tiny_model(folder / "bare", seed=2, chat_template=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    row = {"question": SECRET, "options": dict(zip("ABCD", "wxyz", strict=True)), "answer_idx": "D"}
    (folder / "medqa_us_4options_test.jsonl").write_text((json.dumps(row) + "\n") * 2)
    rows = "".join(json.dumps({"File": str(k), "CHQ": SECRET, "Summary": "Rash?"}) + "\n" for k in range(2))
    (folder / "meqsum.jsonl").write_text(rows)
    return folder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was loaded as a model."""
    seen: list[Any] = []
    load = run.load_model
    monkeypatch.setattr(run, "load_model", lambda path, **settings: (seen.append(path), load(path, **settings))[1])
    return seen


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["eval", *map(str, words)])
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    return int(ended.value.code or 0), " ".join((shown.out + shown.err).split())


def test_a_suite_runs_what_is_there_and_names_the_rest(
    models: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loaded: list[Any]
) -> None:
    words = (models[0], "--suite", "medical", "--data", data, "--out", tmp_path / "r")
    code, text = call(capsys, *words)
    assert code == 0
    assert text.index("pubmedqa must be there") < text.index("medqa: ended")
    assert "not evaluated: medmcqa, pubmedqa, mmlu_anatomy" in text
    assert "25.0 chance" in text
    assert len(loaded) == 1
    assert call(capsys, *words)[0] == 0
    assert len(loaded) == 1  # finished: nothing is computed again
    assert call(capsys, *words, "--strict")[0] == 3
    assert len(read_rows(next((tmp_path / "r").glob("[0-9a-f][0-9a-f]*/medqa")))) == 2


def test_everything_that_is_missing_is_said_at_once(
    models: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loaded: list[Any]
) -> None:
    words = ("--task", "gsm8k", "--task", "mimic_cxr", "--data", data, "--out", tmp_path / "r")
    code, text = call(capsys, models[0], *words)
    assert code == 3
    assert "no test.jsonl" in text
    assert "mimic_cxr_sectioned.csv" in text
    assert "data use agreement" in text
    assert loaded == []
    assert not (tmp_path / "r").exists()


def test_a_model_without_a_chat_template_is_named(
    models: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loaded: list[Any]
) -> None:
    words = (models[1], "--task", "meqsum", "--task", "medqa", "--data", data, "--out", tmp_path / "r")
    code, text = call(capsys, *words)
    assert code == 3
    assert "A chat template is needed by meqsum." in text
    assert loaded == []
    assert call(capsys, models[1], "--task", "medqa", "--data", data, "--out", tmp_path / "r")[0] == 0
    assert call(capsys, *words, "--plain")[0] == 0


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for m in messages %}{{ m.content.nothing.here }}{% endfor %}", "must render"),
        ("{{ raise_exception('no') }}", "must render"),
        ("{% for m in messages %}", "must render"),
        ("hello", "must show the user's turn"),
    ],
)
def test_a_chat_template_that_fails_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loaded: list[Any], template: str, words: str
) -> None:
    model = tiny_model(tmp_path / "model")
    (model / "chat_template.jinja").write_text(template)
    code, text = call(capsys, model, "--task", "meqsum", "--data", data, "--out", tmp_path / "r")
    assert code == 3
    assert words in text
    assert loaded == []


def test_malformed_data_and_a_missing_template_are_told_together(
    models: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loaded: list[Any]
) -> None:
    (data / "MeQSum.csv").write_bytes(b"File,CHQ,Summary\n1,caf\xe9,x\n")
    (data / "meqsum.jsonl").unlink()
    code, text = call(capsys, models[0], "--task", "meqsum", "--data", data, "--out", tmp_path / "r")
    assert code == 3
    assert "must be UTF-8" in text
    assert "offset" in text
    words = ("--suite", "clinical", "--task", "medqa", "--data", data, "--strict", "--out", tmp_path / "r")
    code, text = call(capsys, models[0], *words)
    assert code == 3
    assert "must be UTF-8" in text
    assert "mimic-iv-bhc.csv" in text
    assert loaded == []


def test_missing_packages_are_named_before_anything_is_loaded(
    models: tuple[Path, Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    loaded: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from suture.evaluate import ready

    find = ready.find_spec
    monkeypatch.setattr(ready, "find_spec", lambda name: None if name in ("sacrebleu", "vllm") else find(name))
    words = ("--task", "meqsum", "--data", data, "--out", tmp_path / "r", "--backend", "vllm")
    code, text = call(capsys, models[0], *words)
    assert code == 8
    assert "sacrebleu" in text
    assert "pip install 'suture[eval]'" in text
    assert "pip install vllm" in text
    assert loaded == []


def test_wrong_words(models: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, models[0])[0] == 2
    assert "Did you mean medical" in call(capsys, models[0], "--suite", "medcal")[1]
    assert call(capsys, models[0], "--task", "medqua")[0] == 2


def test_a_task_that_was_killed_does_not_stand_in_the_way_of_another(
    models: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (models[0], "--data", data, "--out", tmp_path / "r")
    assert call(capsys, *words, "--task", "medqa")[0] == 0
    (place,) = (path.parent for path in (tmp_path / "r").glob("[0-9a-f][0-9a-f]*/medqa"))
    (place / "meqsum" / "parts-0123456789ab").mkdir(parents=True)
    (place / "medqa" / "meta.json").unlink()
    assert call(capsys, *words, "--task", "medqa")[0] == 0


def test_from_python(models: tuple[Path, Path], data: Path, tmp_path: Path) -> None:
    from suture.study.evaluation import evaluate_tasks

    place = evaluate_tasks(models[1], ["medqa", "meqsum"], tmp_path / "r", data=str(data), limit=1)
    assert len(read_rows(place / "medqa")) == len(read_rows(place / "meqsum")) == 1


def test_two_models_on_a_suite_can_be_compared(
    models: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--task", "medqa", "--task", "meqsum", "--data", data, "--out", tmp_path / "r", "--plain")
    for model in models:
        assert call(capsys, model, *words)[0] == 0
    one, two = sorted(path for path in (tmp_path / "r").iterdir() if not path.name.startswith("floor"))
    with pytest.raises(SystemExit) as ended:
        main(["compare", f"one={one}", f"two={two}", "--against", "one"])
    assert not ended.value.code
    text = " ".join(capsys.readouterr().out.split())
    assert "refusals" in text
    assert "facts left out" in text or "made-up facts" in text


def test_ifeval_says_whether_published_and_repaired_verdicts_part(
    capsys: pytest.CaptureFixture[str], models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from suture.evaluate.engine import Engine, Generation

    asked = {"instruction_id_list": ["change_case:english_lowercase"], "kwargs": [{}]}
    rows = [{"key": key, "prompt": SECRET, **asked} for key in ("17", "18")]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(map(json.dumps, rows)))
    answers = [Generation(text, 1, "stop", 0.0) for text in ("mild distress.", "")]
    monkeypatch.setattr(Engine, "generate", lambda *_, **__: answers)
    code, shown = call(capsys, models[0], "--task", f"ifeval={prompts}", "--out", tmp_path / "out")
    assert code == 0
    assert "prompts passed, strict, repaired on IFEval" in shown
    assert "verdicts differ on 1 of 2 prompts (17): prompts passed, strict 50.0 → 0.0 %" in shown
    (kept,) = (path for path in (tmp_path / "out").glob("*/ifeval/meta.json") if "floor-" not in str(path))
    meta = json.loads(kept.read_text())
    assert meta["published and repaired"]["items"] == ["17"]
    assert meta["key"]["signatures"]["prompt_level_strict_repaired"].endswith("nothing drawn")


def test_further_scores_are_shown_and_what_they_lack_is_said_before(
    capsys: pytest.CaptureFixture[str],
    models: tuple[Path, Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SUTURE_BERTSCORE_ENCODER", raising=False)
    words = [models[0], "--task", "meqsum", "--data", data, "--out", tmp_path / "out"]
    with pytest.raises(SystemExit):
        main(["eval", *map(str, words)])
    shown = capsys.readouterr()
    said = " ".join(shown.err.split())
    assert said.startswith("Written answers are scored without, for what is missing: bertscore_f1: needs an encoder")
    assert "discharge-me: needs bertscore_f1, alignscore, medcon" in said
    assert "composite plain on MeQSum" in shown.out
    assert "BERTScore" not in shown.out  # absent, not 0
    floor = read_rows(tmp_path / "out" / "floor-copy" / "meqsum")[0]
    assert floor.scores["plain"] > 0
    code, shown_now = call(capsys, models[0], "--task", "medqa", "--data", data, "--out", tmp_path / "out")
    assert code == 0
    assert "scored without" not in shown_now


def test_a_composite_of_an_unknown_metric_is_refused_before_a_model_is_loaded(
    capsys: pytest.CaptureFixture[str], models: tuple[Path, Path], data: Path, tmp_path: Path, loaded: list[Any]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("composites:\n  mine:\n    mean: [rouge9]\n")
    code, shown = call(capsys, models[0], "--task", "meqsum", "--data", data, "--composites", own)
    assert code == 2
    assert "'rouge9'" in shown
    assert not loaded
