"""The calls through which an output reaches its disk: preallocate, write, sync, swap, and the errors that name them."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suture.errors import OutputExistsError, Problem, ResourceError

# File systems on which fallocate only reserves blocks (ext2 to 4, XFS, Btrfs, F2FS). Others may write zeros: a whole
# pass more on tmpfs, and glibc's emulation on what lacks the call.
RESERVES_BLOCKS = frozenset({0xEF53, 0x58465342, 0x9123683E, 0xF2F52010})
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
AT_FDCWD = -100
RENAME_EXCHANGE = 2

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def named_errors(target: Path, needed: int, advice: str = "") -> Iterator[None]:
    """Turn an OSError of the block into a ResourceError that names the output, the cause, and bytes needed and free."""
    try:
        yield
    except OSError as error:
        raise named(error, target, needed, advice) from None


def named(error: OSError, target: Path, needed: int, advice: str = "") -> ResourceError:
    """Return the ResourceError that says of `error` what a user can do; `needed` bytes were still to be written."""
    cause = os.strerror(error.errno) if error.errno else type(error).__name__
    if error.errno in FULL:
        must = f"The disk must hold {needed:,} more bytes."
        got = f"{cause.lower()}, {free_bytes(target.parent):,} bytes free"
        return ResourceError(Problem(must, got, str(target), f"Make room. {advice}".strip()))
    return ResourceError(Problem("The disk must take the output.", f"{cause.lower()}", str(target), advice))


def free_bytes(folder: Path) -> int:
    """Return the bytes that a user may still write to the disk of `folder`; 0 where the disk does not answer."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def check_space(folder: Path, needed: int) -> None:
    """Raise ResourceError where fewer than `needed` bytes are free on the disk of `folder`."""
    free = free_bytes(folder)
    if free < needed:
        raise ResourceError(
            Problem(f"The disk must have {needed:,} bytes free.", f"{free:,}", str(folder), "Free some.")
        )


def preallocate(descriptor: int, size: int) -> None:
    """Give the open file its size; reserve its blocks where that does not cost a pass of writing."""
    if size and _file_system(descriptor) in RESERVES_BLOCKS:
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    os.ftruncate(descriptor, size)


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at byte `offset`."""
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], offset + done)


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make everything in `folder` durable: files, folders, entries."""
    for path in folder.iterdir():
        if path.is_dir():
            sync_tree(path)
        else:
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    sync_folder(folder)


def rename_folder(folder: Path, target: Path) -> None:
    """Rename `folder` to `target`. Raises OutputExistsError where that would replace more than an empty folder.

    rename(2) itself replaces neither a file, a link nor a folder with entries by a folder, so that no check before it
    can be overtaken by another program.
    """
    try:
        os.rename(folder, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        got = "one that another program wrote meanwhile"
        advice = "Move it away and run the same command again: it goes on."
        raise OutputExistsError(Problem("The output folder must be new or empty.", got, str(target), advice)) from None


def exchange(one: Path, other: Path) -> bool:
    """Swap two entries in one step; return False, with nothing done, where the system or file system cannot."""
    if not hasattr(_libc, "renameat2"):
        return False
    if _libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _file_system(descriptor: int) -> int:
    """Return the magic number of the file system of an open file; 0 where it cannot be told."""
    buffer = ctypes.create_string_buffer(512)
    if not hasattr(_libc, "fstatfs") or _libc.fstatfs(descriptor, buffer) != 0:
        return 0
    return int(ctypes.c_ulong.from_buffer(buffer).value) & 0xFFFFFFFF
