from __future__ import annotations

import os
from pathlib import Path

import pytest
from toys import KINDS

from suture.errors import OutputExistsError
from suture.study.graph import Graph, Step, step_key
from suture.study.store import Done, Store

STEP = Step("a", "number", {"value": 1, "label": "a"})
KEY = step_key(STEP, KINDS["number"], {})


def _finish(store: Store, step: Step, key: str) -> None:
    staging = store.stage(step, key)
    (staging / "value").write_text("1")
    store.commit(step, staging, Done(key, "1", 0.5, 1024))


def test_a_step_is_there_whole_or_not(tmp_path: Path) -> None:
    store, key = Store(tmp_path), "f" * 64
    staging = store.stage(STEP, key)
    (staging / "value").write_text("half")
    assert store.find(STEP, key) is None
    store.sweep()
    assert list(store.steps.iterdir()) == []
    _finish(store, STEP, key)
    assert store.find(STEP, key) == Done(key, "1", 0.5, 1024)
    assert (store.folder(STEP, key) / "value").read_text() == "1"
    assert store.folder(STEP, key).name == "number-" + "f" * 12


def test_another_key_with_the_same_beginning_is_not_taken_for_this_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _finish(store, STEP, "f" * 64)
    assert store.find(STEP, "f" * 63 + "0") is None


def test_clean_removes_what_the_study_does_not_reach(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _finish(store, STEP, KEY)
    _finish(store, Step("b", "number", {"value": 2, "label": "b"}), "e" * 64)
    assert [path.name for path in store.clean(Graph([STEP]), KINDS)] == ["number-" + "e" * 12]
    assert store.find(STEP, KEY) is not None


def test_a_second_run_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with Store(tmp_path).locked(), pytest.raises(OutputExistsError, match=f"process {os.getpid()} on "):
        Store(tmp_path).locked().__enter__()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("process 1 on elsewhere\n")
    with Store(tmp_path).locked():
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
