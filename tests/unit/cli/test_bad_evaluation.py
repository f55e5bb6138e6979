"""What is wrong with an evaluation's input is named at the command line, before a model is loaded, without its text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from suture.cli import main
from suture.evaluate import run
from suture.testing.tiny import tiny_model

SECRET = "zebrafish"
TASK = 'name: letter\ndata: {data}\ninput: note\ntarget: letter\nid: id\nprompt: "{prompt}"\n'
WRITTEN, CHOICE = "metrics: [rougeL]\n", "options: options\n"
PROMPT = "Write it: {{input}}"
ASKED = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny", seed=1)


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    monkeypatch.setattr("suture.evaluate.textscores.score_text", lambda *_, **__: pytest.fail("an answer was scored"))


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    return int(ended.value.code or 0), " ".join(shown.err.split())


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def task(folder: Path, data: str, *, prompt: str = PROMPT, kind: str = WRITTEN) -> Path:
    path = folder / "letter.yaml"
    path.write_text(TASK.format(data=data, prompt=prompt) + kind)
    return path


def letter(name: str, text: str = "a letter") -> dict[str, Any]:
    return {"id": name, "note": SECRET, "letter": text}


def test_repeated_ids_and_empty_references(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    lines(tmp_path / "d.jsonl", [letter("a"), letter("a"), letter("b", " ")])
    code, said = refused(capsys, "eval", model, "--task", task(tmp_path, "d.jsonl"))
    assert code == 3
    assert "Ids must be unique. Got repeated: 1 (a)." in said
    assert "No reference may be empty. Got empty: 1 (b)." in said


@pytest.mark.parametrize("answer", ["C", 2, -3, SECRET, True, None])
def test_an_answer_outside_the_options(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, answer: Any
) -> None:
    lines(tmp_path / "d.jsonl", [{**letter("a"), "letter": answer, "options": ["yes", "no"]}])
    code, said = refused(capsys, "eval", model, "--task", task(tmp_path, "d.jsonl", kind=CHOICE))
    assert code == 3
    assert "The answer must be the index of one of the options. Got none of them: 1 (a)." in said


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_csv_in_another_encoding(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "d.csv").write_text(f"id,note,letter\na,{SECRET} café,b\n", encoding=encoding)
    code, said = refused(capsys, "eval", model, "--task", task(tmp_path, "d.csv"))
    assert code == 3
    assert "d.csv: The file must be UTF-8. Got an invalid byte at offset" in said


@pytest.mark.parametrize(
    ("prompt", "what"),
    [
        ("{{input}} {{age}}", "Got 'age'."),
        ("{{input}} {% if %}", "Got a syntax error in line 1."),
        ("{{input}} {{input.age + 1}}", "Got UndefinedError at item a."),
    ],
)
def test_a_template_that_fails_to_render(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, prompt: str, what: str
) -> None:
    lines(tmp_path / "d.jsonl", [letter("a")])
    code, said = refused(capsys, "eval", model, "--task", task(tmp_path, "d.jsonl", prompt=prompt))
    assert (code, what in said) == (3, True)


def test_a_model_without_chat_template_and_bad_data_together(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bare = tiny_model(tmp_path / "bare", seed=2, chat_template=False)
    lines(tmp_path / "d.jsonl", [letter("a")])
    code, said = refused(
        capsys, "eval", bare, "--task", task(tmp_path, "d.jsonl"), "--task", f"ifeval={tmp_path / 'none.jsonl'}"
    )
    assert code == 3
    assert "A chat template is needed by letter, ifeval. Got a model without one." in said
    assert "none.jsonl" in said


def test_bad_prompts_of_ifeval(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    rows = [
        {"key": 1, "prompt": SECRET, **ASKED, "instruction_id_list": ["punctuation:commas"]},
        {"key": 1, "prompt": SECRET, **ASKED},
        {"key": 2, "prompt": " ", "instruction_id_list": ["length_constraints:number_words"], "kwargs": [{"num": 1}]},
        {"key": 3, "prompt": SECRET, "instruction_id_list": ["punctuation:no_comma"], "kwargs": []},
    ]
    code, said = refused(capsys, "eval", model, "--task", f"ifeval={lines(tmp_path / 'p.jsonl', rows)}")
    assert code == 3
    for what in (
        "line 1: A prompt must have instruction_id_list (ids of known instructions)",
        "Got the unknown instruction 'punctuation:commas'.",
        "line 2: Each key must stand once. Got that of line 1 again.",
        "line 3: A prompt must have text. Got an empty one.",
        "Got kwargs that do not fit 'length_constraints:number_words'.",
        "line 4: A prompt must have instruction_id_list",
    ):
        assert what in said


def test_predictions_that_miss_items_are_named_and_those_of_no_item_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    references = lines(tmp_path / "r.jsonl", [{"id": k, "reference": SECRET} for k in range(3)])
    predictions = lines(tmp_path / "p.jsonl", [{"id": 1, "prediction": "no"}, {"id": 7, "prediction": "no"}])
    words = ["score", "--task", "meqsum", "--references", references, "--predictions"]
    code, said = refused(capsys, *words, predictions)
    assert code == 0
    assert said.index("2 without prediction, scored as an empty answer: r.jsonl, lines 1, 3.") < said.index("rouge")
    assert "1 predictions without reference, left out: p.jsonl, line 2." in said
    code, said = refused(capsys, *words, lines(tmp_path / "q.jsonl", [{"id": 9, "prediction": "no"}]))
    assert (code, "Predictions and references must share ids. Got none in common." in said) == (3, True)
