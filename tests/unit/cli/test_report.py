"""`suture report` of a comparison: every format, private files, no names of items unasked, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.cli import main
from suture.compare.compare import compare
from suture.compare.verdicts import Margin, write_comparison
from suture.evaluate.items import ItemRow, write_rows

CANARY = "canary-93aa"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    values = {"general": [1, 1, 1, 1, 0, 0], "clinical": [0, 0, 1, 0, 1, 1], "merged": [1, 1, 0, 1, 1, 0]}
    for label, scores in values.items():
        for task, metric, scale in (("ifeval", "prompt_level_strict", 1.0), ("own_task", "rougeL", 7.5)):
            rows = [
                ItemRow(label, task, f"{CANARY}-{i}", f"c{i}", f"p{i}", response=CANARY, scores={metric: scale * value})
                for i, value in enumerate(scores)
            ]
            write_rows(tmp_path / "results" / label / task, rows, {})
    folders = {label: tmp_path / "results" / label for label in values}
    margin = Margin("instruction", "ifeval", "prompt_level_strict", 0.1, "agreed")
    found = compare(folders, against=["general", "clinical"], margins=[margin])
    (tmp_path / "run").mkdir()
    write_comparison(tmp_path / "run" / "comparison.json", found)
    return tmp_path / "run"


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(("form", "name"), [("html", "report.html"), ("md", "report.md"), ("latex", "report.tex")])
def test_a_comparison_is_reported_without_names_of_items(
    run_folder: Path, capsys: pytest.CaptureFixture[str], form: str, name: str
) -> None:
    assert run("report", run_folder, "--format", form) == 0
    written = (run_folder / name).read_text(encoding="utf-8")
    assert (run_folder / name).stat().st_mode & 0o777 == 0o600
    for words in ("merged", "prompts passed, strict on IFEval", "rougeL on own task".replace("rougeL", "ROUGE-L")):
        assert words in written.replace("\\", "")
    assert CANARY not in written + capsys.readouterr().out


def test_json_keeps_names_only_when_asked(run_folder: Path, tmp_path: Path) -> None:
    plain, named = tmp_path / "plain.json", tmp_path / "named.json"
    assert run("report", run_folder / "comparison.json", "--format", "json", "--out", plain) == 0
    assert run("report", run_folder, "--format", "json", "--with-text", "--out", named) == 0
    assert CANARY not in plain.read_text()
    assert CANARY in named.read_text()
    assert json.loads(plain.read_text())["models"][2]["role"] == "merge"


def test_a_file_that_is_no_comparison_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "comparison.json").write_text("{}")
    assert run("report", tmp_path) == 3
    assert "comparison.json" in capsys.readouterr().err
    assert run("report", tmp_path / "none") == 3
