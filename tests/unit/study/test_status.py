from __future__ import annotations

import time
from pathlib import Path

import pytest
from toys import KINDS

from suture.errors import OutputExistsError
from suture.study import status
from suture.study.build import Built
from suture.study.finished import Finished
from suture.study.graph import Graph, Step
from suture.study.runner import StepCrashedError, run
from suture.study.status import standings
from suture.study.store import Store

GRAPH = Graph([
    Step("a", "number", {"value": 1, "label": "a"}),
    Step("x", "crashes"),
    Step("after", "total", {"label": "total"}, {"x": "x", "a": "a"}),
    Step("b", "number", {"value": 2, "label": "b"}),
])  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(status, "kinds", lambda: KINDS)
    return Store(tmp_path)


def _look(store: Store) -> dict[str, status.Standing]:
    built = Built((), Graph([]), Graph([]), GRAPH)
    return {one.step: one for one in standings(Finished(None, built, store, store.finished(GRAPH, KINDS)))}  # type: ignore[arg-type]


def test_a_failed_step_says_why_and_what_waits_for_it(store: Store) -> None:
    with pytest.raises(StepCrashedError):
        run(Graph([step for step in GRAPH if step.name != "b"]), KINDS, store)
    found = _look(store)
    assert {name: one.state for name, one in found.items()} == {
        "a": "done", "x": "failed", "after": "waiting", "b": "ready",
    }  # fmt: skip
    assert found["after"].told == ("x",)
    assert "Got ValueError at toys.py" in found["x"].told[0]
    assert found["a"].seconds is not None
    assert found["a"].folder.startswith("number-")


def test_a_step_runs_only_while_a_run_holds_the_store(store: Store) -> None:
    key = store.key(GRAPH["b"], KINDS, {})
    store.steps.mkdir()
    with store.locked():
        staging = store.stage(GRAPH["b"], key)
        began = store.started(GRAPH["b"], key)
        time.sleep(0.02)
        (staging / "half").write_text("half")
        assert store.started(GRAPH["b"], key) == began  # whatever the step has written since
        running = _look(store)["b"]
        assert running.state == "running"
        assert running.seconds is not None
    assert _look(store)["b"].state == "ready"


def test_a_new_try_forgets_the_failure(store: Store) -> None:
    key = store.key(GRAPH["x"], KINDS, {})
    store.fail(GRAPH["x"], key, ["It went wrong."])
    assert _look(store)["x"].told == ("It went wrong.",)
    store.stage(GRAPH["x"], key)
    assert _look(store)["x"].state == "ready"


def test_one_run_holds_the_store_over_all_of_its_parts(store: Store, tmp_path: Path) -> None:
    with store.locked():
        run(Graph([]), KINDS, store)
        with pytest.raises(OutputExistsError, match="since 20"):
            run(Graph([]), KINDS, Store(tmp_path))
    run(Graph([]), KINDS, Store(tmp_path))


def test_a_folder_of_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="other files"):
        Store(tmp_path).locked().__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
