"""Syncs finished pieces and journals them on a thread of its own, so that nobody who computes waits for the disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from typing import Any

from suture.checkpoint.failpoint import failpoint
from suture.checkpoint.journal import Journal, Records
from suture.checkpoint.layout import Layout


class PieceKeeper:
    """Collects the records of units; a piece whose units are all there is synced, then journalled.

    A piece whose sync failed is never journalled: after an error of fsync the kernel may have dropped the bytes.
    """

    def __init__(
        self,
        layout: Layout,
        descriptors: Sequence[int],
        journal: Journal,
        kept: Iterable[int],
        *,
        sync: bool,
    ) -> None:
        self._layout = layout
        self._descriptors = descriptors
        self._journal = journal
        self._sync = sync
        self._lock = threading.Lock()
        self._records: list[Records] = [{} for _ in layout.pieces]
        self._piece_of = [number for number, piece in enumerate(layout.pieces) for _ in piece]
        self._kept = set(kept)
        self._queue: SimpleQueue[int | None] = SimpleQueue()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="suture-sync", daemon=True)
        self._thread.start()

    def done(self, unit: int, record: dict[str, Any]) -> None:
        """Take the record of a unit whose bytes were all written."""
        number = self._piece_of[unit]
        with self._lock:
            records = self._records[number]
            if number in self._kept or unit in records:
                return
            records[unit] = record
            whole = len(records) == len(self._layout.pieces[number])
        if whole:
            self._queue.put(number)

    def close(self) -> None:
        """Sync and journal what is whole, end the thread, close the journal."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._journal.close()

    @property
    def kept(self) -> int:
        """Count of the pieces that stand in the journal."""
        return len(self._kept)

    def _run(self) -> None:
        while True:
            numbers, last = self._take()
            if numbers and self.failure is None:
                try:
                    self._keep(numbers)
                except BaseException as error:
                    self.failure = error
            if last:
                return

    def _take(self) -> tuple[list[int], bool]:
        """Wait for the next piece; return all that are waiting, and if the end was asked for."""
        found = [self._queue.get()]
        while not self._queue.empty():
            found.append(self._queue.get())
        return [number for number in found if number is not None], None in found

    def _keep(self, numbers: list[int]) -> None:
        failpoint("before-piece-sync")
        if self._sync:
            for shard in sorted({self._layout.shard_of(number) for number in numbers}):
                os.fdatasync(self._descriptors[shard])
        failpoint("after-piece-sync")
        self._journal.append([(number, self._records[number]) for number in numbers])
        with self._lock:
            self._kept.update(numbers)
            for number in numbers:
                self._records[number] = {}
        failpoint("after-journal-line")
