"""The floor of any merge: read every byte of every input, write as many as one of them holds, with two threads.

    python benchmarks/copy_floor.py OUT MODEL [MODEL ...] [--sync]

Positioned reads into reused buffers, positioned writes into one file, nothing else. Prints its seconds.
"""

from __future__ import annotations

import argparse
import mmap
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BLOCK = 256 << 10
STRETCH = 8 << 20


def main() -> None:
    """Copy as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--sync", action="store_true", help="fsync at the end")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    started = time.perf_counter()
    files = [sorted(model.glob("*.safetensors")) for model in arguments.models]
    for number, group in enumerate(zip(*files, strict=True)):
        _copy(group, arguments.out / f"{number}.bin", sync=arguments.sync)
    print(time.perf_counter() - started)


def _copy(group: tuple[Path, ...], target: Path, *, sync: bool) -> None:
    sources = [os.open(file, os.O_RDONLY) for file in group]
    out = os.open(target, os.O_RDWR | os.O_CREAT)
    size = group[0].stat().st_size
    os.ftruncate(out, size)
    stretches = iter(range(0, size, STRETCH))

    def work() -> None:
        buffers = [memoryview(mmap.mmap(-1, BLOCK)) for _ in sources]
        for begin in stretches:  # threads take turns: next() of a range iterator is atomic
            for start in range(begin, min(begin + STRETCH, size), BLOCK):
                for source, buffer in zip(sources, buffers, strict=True):
                    count = os.preadv(source, [buffer], start)
                os.pwrite(out, buffers[-1][:count], start)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work) for _ in range(2)]:
            future.result()
    if sync:
        os.fsync(out)
    for descriptor in (*sources, out):
        os.close(descriptor)


if __name__ == "__main__":
    main()
