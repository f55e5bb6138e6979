"""Fault 19: the disk fills at any write; the error names what is missing, finished pieces stay, the run goes on."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import LAYOUT, alone, content, forked, journalled, mount, state, unmount, write

from suture.checkpoint import failpoint
from suture.errors import ResourceError

SIZE = 256 << 10


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A disk of a few hundred kilobytes; skips, saying so, where nobody may mount."""
    if os.geteuid() != 0:
        pytest.skip("a full disk was not tried: mounts need root")
    place = tmp_path / "disk"
    place.mkdir()
    words: list[object] = ["-t", "tmpfs", "-o", f"size={SIZE}", "none", place]
    if request.param == "ext4":
        with (tmp_path / "image").open("wb") as stream:
            stream.truncate(2 * SIZE)
        make = ["mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "^has_journal", "-m", "0", str(tmp_path / "image")]
        words = ["-o", "loop", tmp_path / "image", place]
    try:
        if request.param == "ext4":
            subprocess.run(make, check=True, capture_output=True)
        mount(*words)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip(f"a full disk was not tried: this machine makes or mounts no {request.param}")
    try:
        yield place
    finally:
        unmount(place)


def fill(place: Path) -> None:
    """Leave no byte free."""
    with (place / "ballast").open("ab", buffering=0) as stream:
        for size in (65536, 1024, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                continue
        os.fsync(stream.fileno())


@pytest.mark.parametrize("name", ["staged", "journalled", "unit-done", "after-piece-sync", "before-small-files"])
def test_a_disk_that_fills(small_disk: Path, name: str) -> None:
    """At each passage of the failpoint in turn, until none is left. Where blocks were reserved, weights still fit."""
    failures, said = 0, ""
    for nth in range(len(LAYOUT.units)):
        target = small_disk / "out"
        left = [nth]

        def hook(passed: str, left: list[int] = left) -> None:
            if passed == name:
                if left[0] == 0:
                    fill(small_disk)
                left[0] -= 1

        failpoint.set_hook(hook)
        try:
            write(target)
        except ResourceError as error:
            failures += 1
            said = str(error)
            assert not target.exists()
        finally:
            failpoint.set_hook(None)
        (small_disk / "ballast").unlink(missing_ok=True)
        if not target.exists():
            kept = journalled(target)
            assert not kept.intersection(write(target))
        assert state(target) == "new"
        subprocess.run(["rm", "-r", str(target)], check=True)
        if left[0] >= 0:
            break
    assert failures > 0
    assert re.search(r"must hold [\d,]+ more bytes\. Got no space left on device, [\d,]+ bytes free", said)


def test_a_disk_that_is_too_small_from_the_start(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(ResourceError, match=f"{LAYOUT.nbytes:,} "):
        write(small_disk / "in" / "out")
    assert not (small_disk / "in" / "out").exists()


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """Needs no root: the second file does not get its size."""
    limit = LAYOUT.files[0][2] - 1

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        write(tmp_path / "out")

    assert forked(limited) == ResourceError.exit_code
    assert not list(tmp_path.iterdir())
    write(tmp_path / "out")
    assert alone(tmp_path / "out")
    assert len(content("b")) < limit
