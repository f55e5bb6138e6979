"""Fault 17: kill -9 at every failpoint, each time that it is passed; the next run goes on to the same bytes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from driver import LAYOUT, alone, content, forked, journalled, killed_at, passed, state, write

from suture.checkpoint import target as module
from suture.checkpoint.failpoint import FAILPOINTS

KILLED = -9
AFTER = ("after-rename", "after-parent-sync", "after-sweep")


def kill(target: Path, name: str, occurrence: int, **options: bool | int) -> int:
    def run() -> None:
        with killed_at(name, occurrence):
            write(target, **options)  # type: ignore[arg-type]

    return forked(run)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return passed(lambda: write(tmp_path_factory.mktemp("dry") / "out"))


@pytest.fixture(scope="module")
def counts_of_the_second_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    target = tmp_path_factory.mktemp("dry") / "out"
    assert kill(target, "after-journal-line", 4) == KILLED
    return passed(lambda: write(target))


def test_at_least_200_kills(counts: dict[str, int], counts_of_the_second_run: dict[str, int]) -> None:
    """One output killed at every passage in three modes, a second run at every passage, threads at 12 at least."""
    assert 3 * sum(counts.values()) + sum(counts_of_the_second_run.values()) + len(FAILPOINTS) >= 200


def test_every_failpoint_is_passed(counts: dict[str, int]) -> None:
    assert min(counts.values()) > 0
    assert counts["unit-done"] == len(LAYOUT.units) == 15
    assert counts["after-piece-sync"] == counts["after-journal-line"] == len(LAYOUT.pieces) == 10
    assert sum(counts.values()) == 53
    assert len(content("b")) == 10240


@pytest.mark.parametrize("name", FAILPOINTS)
@pytest.mark.parametrize("mode", ["new", "overwrite", "unsynced"])
def test_a_killed_run_goes_on(counts: dict[str, int], tmp_path: Path, name: str, mode: str) -> None:
    """53 kills a mode."""
    options = {"overwrite": mode == "overwrite", "sync": mode != "unsynced"}
    for occurrence in range(counts[name]):
        target = tmp_path / str(occurrence) / "out"
        before = "absent"
        if mode == "overwrite":
            write(target, run="old")
            before = "old"
        assert kill(target, name, occurrence, **options) == KILLED
        assert state(target) == ("new" if name in AFTER else before)
        kept = journalled(target) if name != "after-sweep" else set(range(len(LAYOUT.units)))
        if name == "after-journal-line":  # the piece that was in flight has landed
            assert len(kept) == sum(map(len, LAYOUT.pieces[: occurrence + 1]))
        if name == "after-sweep":
            continue
        again = write(target, **options)
        assert set(again) == set(range(len(LAYOUT.units))) - kept
        assert state(target) == "new"
        assert alone(target)


@pytest.mark.parametrize("name", FAILPOINTS)
def test_a_run_of_several_threads_that_is_killed_goes_on(counts: dict[str, int], tmp_path: Path, name: str) -> None:
    """At the first, the middle and the last time; how often the syncs of several pieces fall together is chance."""
    for occurrence in sorted({0, counts[name] // 2, counts[name] - 1}):
        target = tmp_path / str(occurrence) / "out"
        code = kill(target, name, occurrence, workers=4, settle=False)
        assert code in ((0, KILLED) if occurrence else (KILLED,))
        if name not in AFTER and code == KILLED:
            assert state(target) == "absent"
            kept = journalled(target)
            assert set(write(target, workers=4, settle=False)) == set(range(len(LAYOUT.units))) - kept
        assert state(target) == "new"


@pytest.mark.parametrize("name", FAILPOINTS)
def test_the_run_that_goes_on_may_be_killed_as_well(
    counts_of_the_second_run: dict[str, int], tmp_path: Path, name: str
) -> None:
    for occurrence in range(counts_of_the_second_run[name]):
        target = tmp_path / str(occurrence) / "out"
        assert kill(target, "after-journal-line", 4) == KILLED
        before = journalled(target)
        assert kill(target, name, occurrence) == KILLED
        assert state(target) == ("new" if name in AFTER else "absent")
        if name != "after-sweep":
            kept = journalled(target)
            assert kept >= before
            assert set(write(target)) == set(range(len(LAYOUT.units))) - kept
        assert state(target) == "new"


@pytest.mark.parametrize("name", ["before-piece-sync", "after-piece-sync", "after-journal-line"])
def test_a_run_may_be_killed_again_and_again(tmp_path: Path, name: str) -> None:
    """Each run is killed the third time that it passes, and has then kept at least a piece more."""
    target = tmp_path / "out"
    kept: set[int] = set()
    kills = 0
    while kill(target, name, 2) == KILLED:
        kills += 1
        assert state(target) == "absent"
        assert journalled(target) > kept
        kept = journalled(target)
    assert kills >= 2
    assert state(target) == "new"


def test_what_a_killed_run_placed_unsynced_is_synced_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    assert kill(target, "after-rename", 0, sync=False) == KILLED
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    assert write(target) == []
    assert {str(target), *map(str, target.iterdir())} <= set(synced)
    assert synced[-1] == str(tmp_path)


def test_a_run_killed_between_two_renames_gives_the_old_output_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that cannot swap two folders in one step."""
    target = tmp_path / "out"
    write(target, run="old")
    monkeypatch.setattr(module, "exchange", lambda one, other: False)
    monkeypatch.setattr(module, "rename_folder", lambda folder, target: os.kill(os.getpid(), signal.SIGKILL))
    assert forked(lambda: write(target, overwrite=True)) == KILLED
    assert state(target) == "absent"
    monkeypatch.undo()
    assert forked(lambda: write(target)) == 5
    assert state(target) == "old"
    assert write(target, overwrite=True) == []
    assert state(target) == "new"
    assert alone(target)
