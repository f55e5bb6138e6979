"""Fault 21: two runs on one output at once, a lock whose holder is dead, a lock of another user."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from driver import alone, forked, killed_at, state, write

from suture.checkpoint.lock import OutputLock
from suture.errors import OutputExistsError, ResourceError

NOBODY = 65534


def at_once(*actions: Callable[[], object]) -> list[int]:
    """Run the actions in forks that start together; return how each ended."""
    ready, go = os.pipe()
    children = []
    for action in actions:
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # returns when the parent closes its end
            code = 99
            try:
                action()
                code = 0
            except OutputExistsError:
                code = OutputExistsError.exit_code
            finally:
                os._exit(code)
        children.append(child)
    os.close(go)
    os.close(ready)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def test_of_two_runs_at_once_one_writes_and_the_other_is_refused(tmp_path: Path) -> None:
    for trial in range(20):
        target = tmp_path / str(trial) / "out"
        target.parent.mkdir()

        def run(target: Path = target) -> None:
            write(target, after_unit=lambda unit: time.sleep(0.002))

        assert sorted(at_once(run, run, run)) == [0, 5, 5]
        assert state(target) == "new"
        assert alone(target)


def test_of_two_different_runs_one_writes_and_the_other_is_refused(tmp_path: Path) -> None:
    """Never a mixture."""
    for trial in range(20):
        target = tmp_path / str(trial) / "out"
        target.parent.mkdir()

        def run(name: str, target: Path = target) -> None:
            write(target, run=name, after_unit=lambda unit: time.sleep(0.002))

        codes = at_once(lambda run=run: run("one"), lambda run=run: run("two"))  # type: ignore[misc]
        assert sorted(codes) == [0, 5]
        assert state(target) == ("one", "two")[codes.index(0)]


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    def run() -> None:
        with killed_at("unit-done", 3):
            write(tmp_path / "out")

    assert forked(run) == -9
    assert (tmp_path / ".out.suture-lock").read_text().startswith("process ")
    write(tmp_path / "out")
    assert alone(tmp_path / "out")


def let_others_pass(folder: Path) -> None:
    """Where the test is to become another user, let that user reach the folder."""
    if os.geteuid() == 0:
        for above in (folder, *folder.parents[:2]):
            above.chmod(above.stat().st_mode | 0o011)


@pytest.mark.parametrize("held", [True, False])
def test_a_lock_of_another_user_is_named(tmp_path: Path, held: bool) -> None:
    """As root the run becomes another user; else a lock that may not be written stands for it."""
    target = tmp_path / "shared" / "out"
    target.parent.mkdir()
    let_others_pass(tmp_path)
    target.parent.chmod(0o777)

    def refused() -> None:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        with pytest.raises(OutputExistsError) as caught:
            write(target)
        text = str(caught.value)
        assert "process " in text
        assert "a lock of user" in text if held else "that has ended" in text or "left behind" in text
        raise caught.value

    if held:
        with OutputLock(target):
            if os.geteuid() != 0:
                (target.parent / ".out.suture-lock").chmod(0o444)
            assert forked(refused) == 5
    else:
        (target.parent / ".out.suture-lock").write_text("process 1 on nowhere")
        (target.parent / ".out.suture-lock").chmod(0o444)
        assert forked(refused) == 5
    assert not target.exists()


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    target = tmp_path / "theirs" / "out"
    target.parent.mkdir(mode=0o555)
    let_others_pass(tmp_path)

    def refused() -> None:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        with pytest.raises(ResourceError, match="permission denied") as caught:
            write(target)
        raise caught.value

    assert forked(refused) == ResourceError.exit_code
