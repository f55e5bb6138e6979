from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suture.data.records import ContrastPair, Record, read_items
from suture.errors import UsageError
from suture.study import texts
from suture.study.graph import Context


def _run(function: Any, folder: Path, parameters: dict[str, Any], inputs: dict[str, Path] | None = None) -> str:
    folder.mkdir()
    digest: str = function(Context(parameters, inputs or {}, {}, folder, folder.parent))
    return digest


def test_lessons_stay_when_the_test_grows(tmp_path: Path) -> None:
    sizes = {"seed": 1, "train": 6, "test": 4, "part": texts.LESSON}
    first = _run(texts.clinic, tmp_path / "a", sizes)
    assert _run(texts.clinic, tmp_path / "b", {**sizes, "test": 8}) == first
    assert _run(texts.clinic, tmp_path / "c", {**sizes, "train": 7}) != first
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "clinic_summary.train.jsonl", "notes.train.jsonl",
    ]  # fmt: skip


def test_items_are_the_first_n_and_too_many_are_refused(tmp_path: Path) -> None:
    _run(texts.clinic, tmp_path / "a", {"seed": 1, "train": 6, "test": 4, "part": texts.TEST})
    every = texts.read_test("clinic_summary", tmp_path / "a", None)
    assert len(every) == 4
    assert texts.read_test("clinic_summary", tmp_path / "a", 2) == every[:2]
    with pytest.raises(UsageError, match=r"n must be in \[1, 4\], the number of items. Got 5"):
        texts.read_test("clinic_summary", tmp_path / "a", 5)


def test_drift_deals_user_turns_of_all_tasks_in_turn(tmp_path: Path) -> None:
    _run(texts.clinic, tmp_path / "clinic", {"seed": 1, "train": 6, "test": 4, "part": texts.TEST})
    _run(texts.instructions, tmp_path / "instructions", {"seed": 1, "train": 6, "part": texts.TEST})
    sources = {"clinic": tmp_path / "clinic", "instructions": tmp_path / "instructions"}
    _run(texts.drift, tmp_path / "drift", {"n": 4}, sources)
    records = read_items(tmp_path / "drift" / "drift.jsonl", Record)
    assert [record.source for record in records] == ["clinic", "instructions"] * 2
    pairs = read_items(tmp_path / "instructions" / "contrast.jsonl", ContrastPair)
    assert records[1].input == pairs[0].prompt_a
    assert len({record.input for record in records}) == 4


def test_training_items_of_mts_dialog_share_no_eight_words_with_the_test(tmp_path: Path, shared_data: Path) -> None:
    from suture.data.leakage import shared_ngrams

    folder = shared_data / "mts_dialog" / "Main-Dataset"
    about = {"folder": str(folder), "train": 24, "seed": 0, "split": "validation", "longest": None}
    _run(texts.mts_dialog, tmp_path / "lesson", {**about, "part": texts.LESSON})
    _run(texts.mts_dialog, tmp_path / "test", {**about, "part": texts.TEST})
    learnt = read_items(tmp_path / "lesson" / "mts_section.train.jsonl", Record)
    asked = texts.read_test("mts_section", tmp_path / "test", None)
    assert len(learnt) == 24
    assert len({record.section for record in learnt}) > 5
    assert not shared_ngrams([f"{r.input}\n{r.target}" for r in learnt], [f"{r.input}\n{r.target}" for r in asked])
