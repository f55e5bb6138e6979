"""Fault 20: the Nth call of open, write, sync or rename fails, once or from then on; the run says so and can go on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from driver import alone, journalled, state, write

from suture.checkpoint import target as target_module
from suture.errors import ResourceError

CALLS = ("open", "mkdir", "pwrite", "fsync", "fdatasync", "ftruncate", "posix_fallocate", "rename", "exchange")


@contextmanager
def failing(call: str, nth: int, code: int, *, from_then_on: bool) -> Iterator[list[int]]:
    """Let the nth `call` (from 0) fail with errno `code`; yields the list of calls that were made."""
    module = target_module if call == "exchange" else os
    real: Callable[..., object] = getattr(module, call)
    made: list[int] = []

    def shim(*words: object, **more: object) -> object:
        made.append(len(made))
        if made[-1] == nth or (from_then_on and made[-1] > nth):
            raise OSError(code, os.strerror(code))
        return real(*words, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, call, shim)
        yield made


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    found = {}
    for call in CALLS:
        target = tmp_path_factory.mktemp("dry") / "in" / "out"
        if call == "exchange":
            write(target, run="old")
        with failing(call, -1, 0, from_then_on=False) as made:
            write(target, overwrite=call == "exchange")
        found[call] = len(made)
    return found


def test_every_call_is_made(counts: dict[str, int]) -> None:
    assert {call for call, count in counts.items() if count} >= set(CALLS) - {"posix_fallocate"}
    assert sum(counts.values()) > 100


@pytest.mark.parametrize("from_then_on", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_ends_in_a_clear_error_and_nothing_is_lost(
    counts: dict[str, int], tmp_path: Path, call: str, from_then_on: bool
) -> None:
    overwrite = call == "exchange"
    code = errno.EROFS if from_then_on else errno.EIO
    for nth in range(counts[call]):
        target = tmp_path / str(nth) / "in" / "out"
        if overwrite:
            write(target, run="old")
        cause = "read-only" if from_then_on else "input/output error"
        with failing(call, nth, code, from_then_on=from_then_on), pytest.raises(ResourceError, match=cause) as caught:
            write(target, overwrite=overwrite)
        assert str(target.parent) in str(caught.value)
        whole = "The output is whole" in str(caught.value)  # the last sync of the parent, or the sweep after it
        assert state(target) == ("new" if whole else "old" if overwrite else "absent")
        if not whole:
            kept = journalled(target)
            assert not kept.intersection(write(target, overwrite=overwrite))
            assert state(target) == "new"
            assert alone(target)


def test_a_piece_whose_sync_failed_is_written_again(tmp_path: Path) -> None:
    """After an error of fsync the kernel may call pages clean that never reached the disk."""
    target = tmp_path / "out"
    with failing("fdatasync", 3, errno.EIO, from_then_on=False), pytest.raises(ResourceError):
        write(target)
    assert journalled(target) == {0, 1, 2}
    assert min(write(target)) == 3
    assert state(target) == "new"


def test_a_short_write_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pwrite may take fewer bytes than it was given."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:100], offset))
    write(tmp_path / "out")
    assert state(tmp_path / "out") == "new"
