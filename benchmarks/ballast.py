"""Free memory that a virtual machine's host does not take back, for outputs in a memory file system.

Many hosts take back what lies free in a virtual machine in stretches of 2 MB and more. Whoever first writes there again
pays for a fault, up to six times the copy itself, and only the program that comes late pays it. So a process keeps one
page in each half MB of what is free: what lies between stays free, in stretches too short to be taken.

    python benchmarks/ballast.py        hold until standard input ends
"""

from __future__ import annotations

import contextlib
import mmap
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

APART = 128 * mmap.PAGESIZE
LEFT = 1 << 30
"""Bytes of free memory that are not touched."""


@contextlib.contextmanager
def held() -> Iterator[None]:
    """While the block runs, a process of its own holds (a child would inherit its parent's peak of resident memory)."""
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdout.readline()
        yield
        keeper.stdin.close()


def hold_scattered_pages(nbytes: int) -> mmap.mmap:
    """Return a map that holds a page in every 128 of nbytes of memory, and works as long as it is kept."""
    pages = mmap.mmap(-1, -(-nbytes // APART) * APART, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_NOHUGEPAGE)
    np.frombuffer(pages, np.uint8)[:: mmap.PAGESIZE] = 1
    for start in range(0, len(pages), APART):
        pages.madvise(mmap.MADV_DONTNEED, start + mmap.PAGESIZE, APART - mmap.PAGESIZE)
    return pages


def main() -> None:
    """Hold until standard input ends."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemFree")) * 1024
    kept = hold_scattered_pages(max(free - LEFT, APART))
    print("held", flush=True)
    sys.stdin.read()
    kept.close()


if __name__ == "__main__":
    main()
