"""The audit log: append-only lines of JSON, each of which carries the BLAKE3 of the line before it.

Whoever changes, removes or inserts a line breaks the chain, and `verify` names the first line that does not fit. The
chain cannot see that lines are missing at its end: for that, keep its head (`head`) elsewhere, as every result does.
A line holds digests, counters and names only, never a text of an item; the one field in free words is the reason that
a person gives for opening a test split again.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from blake3 import blake3

from suture.checkpoint.disk import named_errors
from suture.errors import IntegrityError, Problem, UsageError

START: Final = "0" * 64
OPENED: Final = "test split opened"
LONGEST_REASON: Final = 300
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:,+=/-]{0,127}")
_OWN = ("number", "previous", "time", "event")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its number from 0, when it was written (UTC), what happened, its facts, and its own digest."""

    number: int
    time: str
    event: str
    facts: Mapping[str, Any]
    digest: str


class AuditLog:
    """The log in the file `path`, mode 0600, made with its first line. Processes that append take turns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: str, **facts: Any) -> str:
        """Write one line, synced to the disk, and return its digest.

        facts are numbers, truth values, and names or digests (one word or phrase of up to 128 plain characters), or
        lists of these. Raises UsageError for anything else, IntegrityError where the log is broken, ResourceError
        where the disk does not take it; the log is then as before.
        """
        _check(event, facts)
        return self._append(event, lambda _: facts)

    def open_test(self, split: str, *, finalists: tuple[str, ...], reason: str | None = None) -> int:
        """Record that the test split whose digest is `split` is opened for `finalists` (digests); return which time.

        From the second time on a `reason` is required. Raises UsageError without one; nothing is written then.
        """
        _check(OPENED, {"split": split, "finalists": list(finalists)})
        words = None if reason is None else " ".join(reason.split())
        if words is not None and not 0 < len(words) <= LONGEST_REASON:
            must = f"A reason must have 1 to {LONGEST_REASON} characters."
            raise UsageError(Problem(must, f"{len(words)} characters", "reason"))
        counted = 0

        def facts(entries: tuple[Entry, ...]) -> dict[str, Any]:
            nonlocal counted
            counted = 1 + openings(entries, split)
            if counted > 1 and words is None:
                must = "A test split is opened once; a second time needs a reason, which the log keeps."
                raise UsageError(Problem(must, f"opening {counted}", str(self.path), "Give the reason in words."))
            found = {"split": split, "opening": counted, "finalists": list(finalists)}
            return found if words is None else found | {"reason": words}

        self._append(OPENED, facts)
        return counted

    def verify(self, *, head: str | None = None) -> tuple[Entry, ...]:
        """Return all entries; none where there is no file. Raises IntegrityError naming the first broken line.

        head: the digest of a line that must be in the log, kept elsewhere, which shows that its end was not cut off.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        entries = _entries(data, str(self.path))
        if head not in (None, START) and head not in [entry.digest for entry in entries]:
            must = "The log must hold the line that a result names as its head."
            raise IntegrityError(
                Problem(must, f"{len(entries)} lines without it", str(self.path), "Lines were cut off.")
            )
        return entries

    def head(self) -> str:
        """Return the digest of the last line, START where there is none. Raises IntegrityError as `verify` does."""
        entries = self.verify()
        return entries[-1].digest if entries else START

    def _append(self, event: str, facts_of: Any) -> str:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with named_errors(self.path, 0):
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                entries = _entries(os.pread(descriptor, size, 0), str(self.path))
                line = _line(entries, event, facts_of(entries))
                _write(descriptor, line, size)
            finally:
                os.close(descriptor)
        return blake3(line[:-1]).hexdigest()


def openings(entries: tuple[Entry, ...], split: str) -> int:
    """Return how often the split with this digest was opened."""
    return sum(entry.event == OPENED and entry.facts.get("split") == split for entry in entries)


def _line(entries: tuple[Entry, ...], event: str, facts: Mapping[str, Any]) -> bytes:
    own = {
        "number": len(entries),
        "previous": entries[-1].digest if entries else START,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": event,
    }
    return json.dumps(own | dict(facts), separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _write(descriptor: int, line: bytes, size: int) -> None:
    """Write and sync one line, whole or not at all."""
    try:
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, size)
            raise OSError(28, os.strerror(28))  # what a short write to a regular file means
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _entries(data: bytes, where: str) -> tuple[Entry, ...]:
    lines = data.split(b"\n")
    found: list[Entry] = []
    previous = START
    for number, line in enumerate(lines[:-1]):
        said = _parsed(line)
        wrong = "no line of a log" if said is None else _mismatch(said, number, previous)
        if said is None or wrong:
            raise _broken(where, number, str(wrong))
        previous = blake3(line).hexdigest()
        facts = {key: value for key, value in said.items() if key not in _OWN}
        found.append(Entry(number, said["time"], said["event"], MappingProxyType(facts), previous))
    if lines[-1]:
        raise _broken(where, len(found), "a line that was not finished")
    return tuple(found)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(said, dict) and all(key in said for key in _OWN)
    return said if whole and isinstance(said["event"], str) and isinstance(said["time"], str) else None


def _mismatch(said: Mapping[str, Any], number: int, previous: str) -> str:
    if said["previous"] != previous:
        return "the digest of another line" if number else "a line that is not the first"
    return "" if said["number"] == number else f"number {said['number']}"


def _broken(where: str, number: int, got: str) -> IntegrityError:
    must = "Each line of an audit log must carry the digest of the line before it."
    do = "This line or the one before it was changed; keep the file and ask who wrote to it."
    return IntegrityError(Problem(must, got, f"{where}, line {number + 1}", do))


def _check(event: str, facts: Mapping[str, Any]) -> None:
    must = "A line of the audit log holds numbers, names and digests only."
    if not _WORD.fullmatch(event):
        raise UsageError(Problem(must, "an event in other characters", "event"))
    for key, value in facts.items():
        if key in _OWN:
            raise UsageError(Problem("The log writes this key itself.", key, "facts"))
        for one in value if isinstance(value, list | tuple) else (value,):
            fits = one is None or isinstance(one, bool | int | float)
            if not fits and not (isinstance(one, str) and _WORD.fullmatch(one)):
                raise UsageError(Problem(must, type(one).__name__, key))
