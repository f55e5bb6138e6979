"""Writes a checkpoint that appears whole or not at all, and that a killed run can go on with.

The layout (which tensor at which offset of which shard) is computed beforehand, so that tensors may be written in any
order and by several threads. Whoever computes calls `write` and, for each unit of the layout, `done`; finished pieces
are synced and journalled behind his back; `publish` makes it the target. docs/design/006-the-write-protocol.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from suture.checkpoint import disk
from suture.checkpoint.failpoint import failpoint
from suture.checkpoint.journal import FoundJournal, Journal, Records
from suture.checkpoint.layout import Layout, TensorSlot, Unit, lay_out
from suture.checkpoint.lock import OutputLock
from suture.checkpoint.pieces import PieceKeeper
from suture.checkpoint.staging import Staging, close_all
from suture.checkpoint.target import put_in_place, refuse_existing, restore
from suture.errors import IntegrityError, Problem, ResourceError, SutureError

__all__ = ["CheckpointWriter", "Layout", "TensorSlot", "Unit", "lay_out", "refuse_existing"]

KEPT = "Finished pieces stay: run the same command again and it goes on."
JOURNAL_ROOM = 1 << 16  # what is still missing where all weights have their blocks
NONE: Mapping[str, str] = MappingProxyType({})


class CheckpointWriter:
    """Writes the tensors of one layout into a staging folder; `publish` makes it the target. Threads share it.

    key: names the work: digest of recipe, parents' identity, version. parts: digests of what makes up the key, by name
    ("recipe", "parent x"), so that a refusal can name what changed. overwrite: replace an output of Suture in one step.
    sync: wait for the disk; without it a kill loses nothing but a power cut may. restart: remove what an earlier run
    left, whatever its key.

    On entry: OutputExistsError where the target holds files, another run holds its lock, or pieces of other work stand
    there; ResourceError where the disk is too small. Left without `publish`, finished pieces stay for the next run with
    the same key, unless `discard` was called; where none is finished, nothing is left. A run that was killed after its
    output had appeared goes on as well: everything is `finished`, and `publish` only sweeps.
    """

    def __init__(
        self,
        target: Path,
        layout: Layout,
        *,
        key: str,
        parts: Mapping[str, str] = NONE,
        overwrite: bool = False,
        sync: bool = True,
        restart: bool = False,
    ) -> None:
        self.target = target = target if target.name not in ("", "..") else target.resolve()
        self.layout = layout
        self.finished: Mapping[int, dict[str, Any]] = MappingProxyType({})
        self._overwrite = overwrite
        self._sync = sync
        self._restart = restart
        self._staging = Staging(target, layout, key, parts, sync=sync)
        self._descriptors: list[int] = []
        self._stack = ExitStack()
        self._keeper: PieceKeeper | None = None
        self._sweep = False
        self._placed = False

    def __enter__(self) -> CheckpointWriter:
        with self._stack:
            with disk.named_errors(self.target, self.layout.nbytes):
                self.target.parent.mkdir(parents=True, exist_ok=True)
                self._stack.enter_context(OutputLock(self.target))
                restore(self._staging.folder, self.target)
                found = self._find()
                journal = self._open(found)
            pieces: Mapping[int, Records] = found.pieces if found else {}
            self.finished = MappingProxyType({i: r for records in pieces.values() for i, r in records.items()})
            self._keeper = PieceKeeper(self.layout, self._descriptors, journal, pieces, sync=self._sync)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            keeper, self._keeper = self._keeper, None
            if keeper is not None:
                keeper.close()
                self._sweep = self._sweep or not keeper.kept
            close_all(self._descriptors)
            if self._sweep:
                self._remove_staging(quietly=error is not None)
                failpoint("after-sweep")

    def descriptor(self, slot: TensorSlot) -> int:
        """The open file in which the tensor is to lie, for loops that write by themselves."""
        return self._descriptors[slot.shard]

    def write(self, slot: TensorSlot, start: int, data: memoryview) -> None:
        """Write `data` (bytes) at byte `start` of the tensor. Raises ResourceError where the disk does not take it."""
        descriptor = self._descriptors[slot.shard]
        try:
            written = os.pwrite(descriptor, data, slot.offset + start)
            if written != data.nbytes:
                disk.write_all(descriptor, data[written:], slot.offset + start + written)
        except OSError as error:
            raise self._named(error) from None

    def done(self, unit: int, record: dict[str, Any]) -> None:
        """Note that unit number `unit` is wholly written; the next run finds `record` (JSON) in `finished`.

        Any thread may call it; it does not wait for the disk. Raises what the sync of an earlier piece raised.
        """
        keeper = self._keeper
        if keeper is None:
            raise RuntimeError("the writer is not open")
        self._raise_failure(keeper)
        keeper.done(unit, record)
        failpoint("unit-done")

    def discard(self) -> None:
        """Leave nothing behind on exit: the inputs themselves were refused, so another run could not go on."""
        self._sweep = True

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Add the small `files`, sync everything, and make the staging folder the target in one step.

        Raises ResourceError, OutputExistsError where something stands there meanwhile, IntegrityError where a unit was
        never done.
        """
        keeper = self._keeper
        if keeper is None:
            raise RuntimeError("the writer is not open")
        keeper.close()
        self._raise_failure(keeper)
        missing = len(self.layout.pieces) - keeper.kept
        if missing:
            must = "Every piece must be written before an output appears."
            raise IntegrityError(Problem(must, f"{missing} of {len(self.layout.pieces)} unwritten", str(self.target)))
        placed_before = self._placed
        if not placed_before:
            self._put_in_place(files)
        self._placed = self._sweep = True
        failpoint("after-rename")
        with disk.named_errors(self.target, 0, "The output is whole, but a power cut may still undo it."):
            if self._sync and placed_before:  # perhaps by a run without sync
                disk.sync_tree(self.target)
            if self._sync:
                disk.sync_folder(self.target.parent)
        failpoint("after-parent-sync")

    def _remove_staging(self, *, quietly: bool) -> None:
        try:
            self._staging.remove()
        except OSError as error:
            if not quietly:
                cause = os.strerror(error.errno or 0).lower()
                advice = f"{'The output is whole. ' if self._placed else ''}Remove this folder yourself."
                problem = Problem("What a run staged must be removed.", cause, str(self._staging.folder), advice)
                raise ResourceError(problem) from None

    def _find(self) -> FoundJournal | None:
        """Refuse what may not be replaced; return what an earlier run left that this one goes on with."""
        found = None if self._restart else self._staging.find_published()
        self._placed = found is not None
        if found is None:
            refuse_existing(self.target, overwrite=self._overwrite)
            found = None if self._restart else self._staging.find()
        return found

    def _open(self, found: FoundJournal | None) -> Journal:
        if found is not None and self._placed:
            self._descriptors, journal = self._staging.resume(found, self.target)
            return journal
        if found is None:
            self._staging.remove()
        disk.check_space(self.target.parent, self.layout.nbytes - (self._staging.allocated() if found else 0))
        try:
            self._descriptors, journal = (
                self._staging.resume(found, self._staging.model) if found else self._staging.create()
            )
        except BaseException:
            if found is None:
                self._staging.remove()
            raise
        return journal

    def _put_in_place(self, files: Mapping[str, bytes]) -> None:
        with disk.named_errors(self.target, sum(map(len, files.values())), KEPT):
            failpoint("before-small-files")
            self._write_small(files)
            failpoint("before-last-sync")
            if self._sync:
                for descriptor in self._descriptors:
                    os.fsync(descriptor)
                disk.sync_folder(self._staging.model)
            failpoint("before-rename")
            put_in_place(self._staging.model, self.target, overwrite=self._overwrite)

    def _write_small(self, files: Mapping[str, bytes]) -> None:
        for name, content in self.layout.small_files(files).items():
            descriptor = os.open(self._staging.model / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                disk.write_all(descriptor, memoryview(content), 0)
                if self._sync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _raise_failure(self, keeper: PieceKeeper) -> None:
        if isinstance(keeper.failure, OSError):
            raise self._named(keeper.failure) from None
        if keeper.failure is not None:
            raise keeper.failure

    def _named(self, error: OSError) -> SutureError:
        needed = max(self.layout.nbytes - self._staging.allocated(), JOURNAL_ROOM)
        return disk.named(error, self.target, needed, KEPT)
