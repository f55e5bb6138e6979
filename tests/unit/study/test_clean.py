from __future__ import annotations

from pathlib import Path

import pytest
from toys import KINDS

from suture.study.clean import clean_trainings, trainings
from suture.study.graph import Graph, Step
from suture.study.store import Done, Store, training_folder

FIRST = Step("a", "number", {"value": 1, "label": "a"})
OPEN = Step("b", "number", {"value": 2, "label": "b"})
LATER = Step("c", "total", {"label": "c"}, {"b": "b"})
GONE = Step("d", "number", {"value": 3, "label": "d"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which FIRST is finished; each step has left the state of a training, LATER too, from another time."""
    store = Store(tmp_path)
    keys = {step.name: store.key(step, KINDS, {}) for step in (FIRST, OPEN, GONE)} | {"c": "e" * 64}
    for step in (FIRST, OPEN, LATER, GONE):
        staging = store.stage(step, keys[step.name])
        folder = training_folder(store.root, staging)
        assert folder == store.training(step, keys[step.name])
        (folder / "checkpoint-20").mkdir(parents=True)
        if step is FIRST:
            store.commit(step, staging, Done(keys["a"], "1", 0.5, 1024))
    return store


def _names(paths: object) -> set[str]:
    return {path.name for path in paths}  # type: ignore[attr-defined]


def test_the_state_of_a_step_that_is_finished_or_gone_is_removed_and_no_other(store: Store) -> None:
    graph = Graph([FIRST, OPEN, LATER])
    found = trainings(store, graph, KINDS)
    first, gone = store.training(FIRST, store.key(FIRST, KINDS, {})), store.training(GONE, store.key(GONE, KINDS, {}))
    kept, later = store.training(OPEN, store.key(OPEN, KINDS, {})), store.training(LATER, "e" * 64)
    assert set(found.abandoned) == {first, gone}
    assert found.resumable == (kept,)
    assert found.undecided == (later,)  # b is not there yet, so that what c computes from is not known
    removed, told = clean_trainings(store, graph, KINDS)
    assert set(removed) == {first, gone}
    assert told == found
    assert _names((store.root / "training").iterdir()) == {kept.name, later.name}


def test_a_step_that_is_no_longer_there_needs_no_inputs_to_be_told(store: Store) -> None:
    found = trainings(store, Graph([FIRST, OPEN]), KINDS)
    assert store.training(LATER, "e" * 64) in found.abandoned
    assert not found.undecided


def test_all_of_them_where_the_user_asks(store: Store) -> None:
    removed, _ = clean_trainings(store, Graph([FIRST, OPEN, LATER]), KINDS, everything=True)
    assert len(removed) == 4
    assert not (store.root / "training").exists()
    assert clean_trainings(store, Graph([FIRST, OPEN, LATER]), KINDS) == ([], trainings(store, Graph([FIRST]), KINDS))
