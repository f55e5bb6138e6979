"""Fault 18: the power is cut after every call that reaches the disk; the target is absent or whole, the run goes on.

The run writes to an ext4 file system in a file in memory. What that file holds after a call is what the disk would hold
if the power failed there: pages that were not synced are still in the kernel. So the file is copied after each call and
the copy mounted, which replays ext4's journal as a start of the machine would, and looked at.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from driver import LAYOUT, journalled, mount, state, unmount, write

from suture.checkpoint import disk, target

IMAGE_BYTES = 8 << 20
CALLS = ("open", "mkdir", "pwrite", "fsync", "fdatasync", "ftruncate", "posix_fallocate", "rename", "unlink", "rmdir")
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    mount("-o", "loop", image, at)
    try:
        yield at
    finally:
        unmount(at)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory; skips, saying so, where file systems cannot be made and mounted."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None:
        pytest.skip("power cuts were not tried: they need root, loop devices and mkfs.ext4")
    folder = tmp_path_factory.mktemp("memory")
    try:
        mount("-t", "tmpfs", "-o", "size=64m", "none", folder)
    except subprocess.CalledProcessError:
        pytest.skip("power cuts were not tried: this machine lets nobody mount")
    try:
        with (folder / "empty").open("wb") as stream:
            stream.truncate(IMAGE_BYTES)
        make = ["mkfs.ext4", "-q", "-F", "-b", "1024", "-J", "size=1", str(folder / "empty")]
        subprocess.run(make, check=True, capture_output=True)
        try:
            with mounted(folder / "empty", folder / "probe"):
                pass
        except subprocess.CalledProcessError:
            pytest.skip("power cuts were not tried: this machine has no loop devices")
        yield folder
    finally:
        unmount(folder)


@contextmanager
def after_each_call(action: Callable[[str], None]) -> Iterator[None]:
    """Call `action` with the call's name after each call through which the writer reaches the disk."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in [*((os, name) for name in CALLS), (target, "exchange")]:
            real = getattr(module, name)

            def called(*words: object, real: Callable[..., object] = real, name: str = name, **more: object) -> object:
                found = real(*words, **more)
                action(name)
                return found

            patch.setattr(module, name, called)
        yield


def cut_everywhere(memory: Path, mode: str, *, early: bool) -> int:
    """Run a merge's writes, cut the power after each call, look at what is left; return the count of cuts.

    early: before each cut the kernel has written back all on its own, synced or not, as it may at any time.
    """
    image, copy = memory / "image", memory / "copy"
    shutil.copyfile(memory / "empty", image)
    overwrite = mode == "overwrite"
    before = "old" if overwrite else "absent"
    cuts: list[str] = []
    published = False

    with mounted(image, memory / "disk") as place:
        out = place / "runs" / "out"
        if overwrite:
            write(out, run="old")
        if mode == "resume":
            with pytest.raises(KeyboardInterrupt):
                write(out, after_unit=stop_at(6))
        handle = os.open(place, os.O_RDONLY)
        _libc.syncfs(handle)

        def cut(name: str) -> None:
            kept = journalled(out) if name in ("fsync", "fdatasync") else set()
            if early:
                _libc.syncfs(handle)
            shutil.copyfile(image, copy)
            with pytest.MonkeyPatch.context() as patch:
                undo_shims(patch)
                with mounted(copy, memory / "after") as after:
                    look(after / "runs" / "out", before, kept, overwrite=overwrite, sure=published)
            cuts.append(name)

        try:
            with after_each_call(cut):
                write(out, overwrite=overwrite)
            published = True
            cut("end")
        finally:
            os.close(handle)
    return len(cuts)


REAL = {name: getattr(os, name) for name in CALLS}
EXCHANGE = disk.exchange


def undo_shims(patch: pytest.MonkeyPatch) -> None:
    for name, real in REAL.items():
        patch.setattr(os, name, real)
    patch.setattr(target, "exchange", EXCHANGE)


def look(out: Path, before: str, kept: set[int], *, overwrite: bool, sure: bool) -> None:
    """The output is as before or new and whole; what was journalled is kept; the next run comes to the same bytes."""
    found = state(out)
    assert found in ((before, "new") if not sure else ("new",))
    if found == "new" and not overwrite:
        return
    if found == before:
        assert journalled(out) >= kept
    again = write(out, overwrite=overwrite)
    assert not kept.intersection(again) or found == "new"
    assert state(out) == "new"


def stop_at(last: int) -> Callable[[int], None]:
    def stop(unit: int) -> None:
        if unit == last:
            raise KeyboardInterrupt

    return stop


CUTS: dict[tuple[str, bool], int] = {}


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("mode", ["new", "overwrite", "resume"])
def test_a_power_cut_leaves_the_output_absent_or_whole(memory: Path, mode: str, early: bool) -> None:
    CUTS[mode, early] = cut_everywhere(memory, mode, early=early)
    assert CUTS[mode, early] > len(LAYOUT.units) + 2 * len(LAYOUT.pieces)


def test_at_least_300_cuts(memory: Path) -> None:
    if len(CUTS) < 6:
        pytest.skip("the cuts were not all run in this session")
    assert sum(CUTS.values()) >= 300


def test_the_harness_sees_what_was_never_synced(memory: Path) -> None:
    """Without sync the same cut loses the output: so the test above can fail."""
    image, copy = memory / "image", memory / "copy"
    shutil.copyfile(memory / "empty", image)
    with mounted(image, memory / "disk") as place:
        write(place / "out", sync=False)
        shutil.copyfile(image, copy)
        with mounted(copy, memory / "after") as after:
            assert not (after / "out").exists()
