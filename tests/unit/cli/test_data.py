"""`suture data`: what it lists, finds, refuses and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.cli import main

SECRET = "Zebrafish rash"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["data", *arguments])
    out = capsys.readouterr()
    return int(ended.value.code or 0), " ".join((out.out + out.err).split())


def test_list_says_which_credential_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, "list")
    assert code == 0
    assert "mimic_bhc" in text
    assert "PhysioNet" in text


def test_check_tells_found_from_missing_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"question": SECRET, "options": dict(zip("ABCD", "wxyz", strict=True)), "answer_idx": "E"}
    (tmp_path / "medqa_us_4options_test.jsonl").write_text(json.dumps(row) + "\n")
    code, text = run(capsys, "check", "--data", str(tmp_path), "medqa", "gsm8k")
    assert code == 3
    assert "missing: test.jsonl" in text
    assert "Every answer must be one of its options" in text
    assert SECRET not in text


def test_prepare_writes_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": SECRET, "answer": "#### 2"}) + "\n")
    code, text = run(capsys, "prepare", str(tmp_path / "out"), "--data", str(tmp_path))
    assert code == 0
    assert "gsm8k.test.jsonl: test, 1 items" in text
    assert "wrote 1 data sets" in text
    assert run(capsys, "check", "--data", str(tmp_path / "out"), "gsm8k")[0] == 0


def test_nothing_goes_online_unasked_and_online_needs_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "prepare", str(tmp_path / "out"))[0] == 2
    assert run(capsys, "prepare", str(tmp_path / "out"), "--online")[0] == 2


def test_leakage_is_said(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, "check", "--data", str(shared_data), "gsm8k")
    assert code == 0
    assert "of 4999 transcriptions" in text
    assert "stand in MTSamples word for word" in text
