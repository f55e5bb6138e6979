"""The journal of a run: a header line, then one line a finished piece, each with its checksum.

A line is the first 16 hex digits of the BLAKE3 of its JSON, a blank, the JSON, a newline. What follows the first line
that is torn or does not match its checksum was never acknowledged and is cut off. Floats go as Python's shortest
decimals that read back to the same bits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.checkpoint.disk import write_all

FORMAT = 1
UNKNOWN = "unknown"


@dataclass(frozen=True)
class JournalHeader:
    """Whose pieces these are. parts: digests that make up the key, by name, so that a refusal can name what changed.

    folder: inode of the folder that holds the pieces, by which it is told from the output that was swapped for it. (Not
    its device: that number changes from one start of the machine to the next.)
    """

    key: str
    version: str
    layout: str
    folder: int
    parts: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT


Records = dict[int, dict[str, Any]]


class Journal:
    """An open journal, to which finished pieces are appended; one thread at a time."""

    def __init__(self, descriptor: int, end: int, *, sync: bool) -> None:
        self._descriptor = descriptor
        self._end = end
        self._sync = sync
        # Without sync a piece lives in the page cache: it outlives the process but not the machine's next start.
        self._boot = None if sync else boot_id()

    @classmethod
    def create(cls, file: Path, header: JournalHeader, *, sync: bool) -> Journal:
        """Start a journal in the new file `file`."""
        journal = cls(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), 0, sync=sync)
        try:
            journal._append(_line(asdict(header)))
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def resume(cls, file: Path, end: int, *, sync: bool) -> Journal:
        """Go on with a journal whose first `end` bytes are whole; what follows them is cut off."""
        journal = cls(os.open(file, os.O_RDWR), end, sync=sync)
        os.ftruncate(journal._descriptor, end)
        return journal

    def append(self, pieces: Sequence[tuple[int, Mapping[int, Mapping[str, Any]]]]) -> None:
        """Append a line for each piece (number, records by unit index) and make them durable together."""
        lines = [
            _line({"piece": number, "boot": self._boot, "units": {str(index): r for index, r in records.items()}})
            for number, records in pieces
        ]
        self._append(b"".join(lines))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, data: bytes) -> None:
        write_all(self._descriptor, memoryview(data), self._end)
        if self._sync:
            os.fsync(self._descriptor)
        self._end += len(data)


@dataclass(frozen=True)
class FoundJournal:
    """What an earlier run left: its header, the records of finished pieces by number, and where the whole lines end."""

    header: JournalHeader
    pieces: Mapping[int, Records]
    end: int


def read_journal(file: Path) -> FoundJournal | None:
    """Read a journal; None where there is none, or none whose header is whole."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    lines, end = _whole_lines(content)
    if not lines or lines[0].get("format") != FORMAT:
        return None
    header = JournalHeader(**lines[0])
    boots = {None, boot_id()} - {UNKNOWN}
    pieces = {
        int(line["piece"]): {int(index): record for index, record in line["units"].items()}
        for line in lines[1:]
        if line["boot"] in boots
    }
    return FoundJournal(header, pieces, end)


def boot_id() -> str:
    """Return what names this start of the machine; UNKNOWN where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return UNKNOWN


def _line(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, separators=(",", ":")).encode()
    return _checksum(text) + b" " + text + b"\n"


def _checksum(text: bytes) -> bytes:
    return blake3(text).hexdigest()[:16].encode()


def _whole_lines(content: bytes) -> tuple[list[dict[str, Any]], int]:
    lines: list[dict[str, Any]] = []
    end = 0
    for line in content.splitlines(keepends=True):
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        if not line.endswith(b"\n") or checksum != _checksum(text):
            break
        lines.append(json.loads(text))
        end += len(line)
    return lines, end
