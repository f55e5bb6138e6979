"""`suture compare` as typed: tables, JSON and file, floors and margins found, refusals with their exit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from suture.cli import main
from suture.compare.verdicts import read_comparison
from suture.evaluate.items import ItemRow, write_rows

GENERAL = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0] * 3
CLINICAL = [0, 0, 1, 1, 0, 0, 0, 0, 0, 1] * 3
MERGED = [0, 1, 1, 1, 1, 1, 1, 0, 0, 0] * 3
SECRET = "canary-51c0"


def write(root: Path, label: str, values: Sequence[float], *, change: int = 0, task: str = "clinic_mcq") -> Path:
    rows = [
        ItemRow(
            label, task, f"q{i:02d}", f"c{i:02d}", "other" if i < change else f"p{i}", response=SECRET,
            scores={"accuracy": float(value)},
        )
        for i, value in enumerate(values)
    ]  # fmt: skip
    write_rows(root / "results" / label / task, rows, {"key": {"signatures": {"accuracy": "by hand"}}})
    return root / "results" / label


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    write(tmp_path, "floor-chance", [0.25] * 30)
    models = {"general": GENERAL, "clinical": CLINICAL, "merged": MERGED}
    places = [f"{label}={write(tmp_path, label[0] * 12, values)}" for label, values in models.items()]
    return ["compare", *places, "--against", "general,clinical"]


def run(words: Sequence[object]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


def test_the_file_and_the_json_hold_the_whole_comparison(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison.json"
    margin = ["--margin", "clinic_mcq.accuracy=0.1,one in ten", "--replicate", words[1]]
    assert run([*words, *margin, "--json", "--out", out]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(out.read_text())
    assert out.stat().st_mode & 0o777 == 0o600
    found = read_comparison(out)
    row = found.contrast("merged", "general", "clinic_mcq", "accuracy")
    assert row is not None
    assert (row.forgotten, row.gained, row.margin, row.chance) == pytest.approx((0.1, 0.1, 0.1, 0.25))
    assert (row.family, row.correction, row.test) == ("primary", "Holm", "exact McNemar")
    assert (found.margins[0].axis, found.margins[0].reason) == ("medical", "one in ten")
    assert [floor.model for floor in found.floors] == ["chance"]
    assert found.recovered[0].value == pytest.approx((18 - 9) / (18 - 9))
    assert {row.metric: row.flip_rate for row in found.replicates} == {"accuracy": 0.0, "same_response": 0.0}
    assert SECRET not in printed + out.read_text()


def test_the_tables_carry_what_a_reader_needs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--margin", "clinic_mcq.accuracy=0.1", "--replicate", words[1]]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for part in (
        "against general", "against clinical", "Holm", "exact McNemar", "detects", "adj.", "retention",
        "Recovered share", "Noise (A/A)", "best floor 25.0 (chance)", "margin 10.0", "without a reason",
    ):  # fmt: skip
        assert part in printed
    assert SECRET not in printed


def test_many_tasks_get_an_overview_unless_all_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = ("clinic_mcq", "medqa", "pubmedqa", "medmcqa", "mmlu_anatomy")
    for task in tasks:
        general, merged = write(tmp_path, "g" * 12, GENERAL, task=task), write(tmp_path, "m" * 12, MERGED, task=task)
    words = ["compare", f"general={general}", f"merged={merged}", "--against", "general"]
    assert run([*words, "--margin", "medqa.accuracy=0.1,one in ten"]) == 0
    short = capsys.readouterr().out
    flat = " ".join(short.split())
    for part in ("Overview: differences to general", "accuracy on MMLU anatomy (%)", "one in ten", "0 more measures"):
        assert part in flat
    assert "McNemar" not in flat
    assert run([*words, "--all"]) == 0
    assert capsys.readouterr().out.count("exact McNemar") == len(tasks)


def test_a_folder_of_one_models_results_will_do(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "a" * 12, GENERAL).parent
    two = write(tmp_path / "two", "b" * 12, MERGED).parent
    assert run(["compare", f"general={one}", f"merged={two}", "--against", "general"]) == 0
    write(tmp_path / "two", "c" * 12, MERGED)
    assert run(["compare", f"general={one}", f"merged={two}", "--against", "general"]) == 3


@pytest.mark.parametrize(
    ("change", "keep", "code", "message"),
    [(4, 30, 4, "4 of 30 items with different prompts"), (0, 27, 4, "3 items of only one of them")],
)
def test_different_prompts_and_missing_items_are_refused_by_number(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: int,
    keep: int,
    code: int,
    message: str,
) -> None:
    write(tmp_path, "m" * 12, MERGED[:keep], change=change)
    assert run(words) == code
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--margin", "accuracy=0.1"], "task.metric"),
        (["--margin", "clinic_mcq.accuracy=wide"], "task.metric=VALUE[,REASON]"),
        (["--margin", "clinic_mcq.accuracy=-0.1"], "positive number"),
        (["--margin", "clinic_mcq.accuracy=inf"], "positive number"),
        (["--margin", "clinic_mcq.rougeL=1"], "margin of clinic_mcq rougeL"),
        (["--primary", "clinic_mcq.rougeL"], "primary clinic_mcq rougeL"),
        (["--replicate", "nobody=results"], "'nobody'"),
        (["--against", "general,general"], "named once"),
    ],
)
def test_requests_that_cannot_hold_end_in_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run([*words, *more]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
