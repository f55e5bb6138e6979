"""Runs a command as a child and reports what the kernel says of it: time, memory, bytes."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One run. Seconds; bytes. anonymous, resident: peaks (sampled every 5 ms, and the kernel's own for the second)."""

    wall: float
    user: float
    system: float
    anonymous: int
    resident: int
    read: int
    written: int
    output: str
    curve: tuple[int, ...]
    """Anonymous memory at each sample."""

    @property
    def cpu(self) -> float:
        """User and system seconds together."""
        return self.user + self.system


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Measured:
    """Run `command` to its end; RuntimeError with its last words where it fails.

    Byte code is kept, as an installation keeps it, also where this shell says otherwise.
    """
    environment = {"PYTHONDONTWRITEBYTECODE": "", **(environment or {})}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    )
    peaks, curve = {"rchar": 0, "wchar": 0}, list[int]()
    stop = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, peaks, curve, stop))
    sampler.start()
    assert process.stdout is not None
    text = process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # counters can still be read
    stop.set()
    sampler.join()
    _io(process.pid, peaks)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{text[-2000:]}")
    return Measured(
        wall,
        usage.ru_utime,
        usage.ru_stime,
        max(curve, default=0),
        usage.ru_maxrss * 1024,
        peaks["rchar"],
        peaks["wchar"],
        text,
        tuple(curve),
    )


def _sample(pid: int, peaks: dict[str, int], curve: list[int], stop: threading.Event) -> None:
    while not stop.wait(0.005):
        try:
            text = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        curve += [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("RssAnon")]
        _io(pid, peaks)


def _io(pid: int, peaks: dict[str, int]) -> None:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition(": ")
        if name in ("rchar", "wchar"):
            peaks[name] = max(peaks[name], int(value))
