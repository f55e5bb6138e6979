"""`suture score` as called: JSON on stdout, warnings on stderr, private items, exit codes, no text of an item."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.cli import main

SECRET = "Zebrafish in the left lung"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["score", *(str(word) for word in words)])
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def files(folder: Path, predictions: list[object], references: list[object]) -> list[object]:
    for name, rows in (("p.jsonl", predictions), ("r.jsonl", references)):
        (folder / name).write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return ["--predictions", folder / "p.jsonl", "--references", folder / "r.jsonl"]


def test_json_and_items(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = files(tmp_path, [{"id": 1, "prediction": SECRET}], [{"id": i, "reference": SECRET} for i in (1, 2)])
    items = tmp_path / "out" / "items.jsonl"
    code, out, err = run(capsys, "--task", "open_i", *given, "--json", "--items", items)
    found = json.loads(out)
    assert (code, found["task"], found["n"], found["missing"]) == (0, "open_i", 2, 1)
    assert found["scores"]["rouge1"]["value"] == 50.0
    assert "1 without prediction" in err
    assert items.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["missing"] for line in items.read_text().splitlines()] == [False, True]
    assert "Zebrafish" not in out + err + items.read_text()


def test_the_table_states_the_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = files(tmp_path, [{"id": 1, "prediction": SECRET}], [{"id": 1, "reference": SECRET}])
    code, out, _ = run(capsys, "--task", "aci_bench", *given, "--composite", "plain", "--metric", "medcon")
    assert code == 0
    assert "100.00" in out
    for part in ("rouge_score", "plain", "wyim/aci-bench", "Deviation", "UMLS", "missing 0"):
        assert part in out
    assert "Zebrafish" not in out


def test_bad_input_is_named_with_every_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"id": 1, "prediction": SECRET}
    given = files(tmp_path, [row, row, '{"id": 2, "prediction": "Zebra'], [{"id": 1, "reference": ""}])
    items = tmp_path / "items.jsonl"
    code, out, err = run(capsys, "--task", "meqsum", *given, "--json", "--items", items)
    assert (code, out) == (3, "")
    for part in ("r.jsonl, line 1", "p.jsonl, line 2", "p.jsonl, line 3"):
        assert part in err
    assert "Zebra" not in err
    assert not items.exists()


def test_usage_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = files(tmp_path, [{"id": 1, "prediction": "a"}], [{"id": 1, "reference": "a"}])
    code, _, err = run(capsys, "--task", "aci-bench", *given)
    assert (code, "Did you mean aci_bench?" in err) == (2, True)
    code, _, err = run(capsys, "--task", "open_i", *given, "--items", tmp_path)
    assert (code, "a folder" in err) == (5, True)
