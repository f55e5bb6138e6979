"""The staging folder beside a target: `.NAME.suture-partial`, with the journal and, in `model`, the growing output."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from suture import __version__
from suture.checkpoint.disk import preallocate, sync_folder, write_all
from suture.checkpoint.failpoint import failpoint
from suture.checkpoint.journal import FoundJournal, Journal, JournalHeader, read_journal
from suture.checkpoint.layout import Layout
from suture.errors import OutputExistsError, Problem

JOURNAL_NAME = "journal.jsonl"
MODEL_NAME = "model"


class Staging:
    """The staging folder of one target and one piece of work, named by `key` and its `parts`."""

    def __init__(self, target: Path, layout: Layout, key: str, parts: Mapping[str, str], *, sync: bool) -> None:
        self.target = target
        self.folder = target.with_name(f".{target.name}.suture-partial")
        self.model = self.folder / MODEL_NAME
        self.layout = layout
        self._key = key
        self._parts = dict(parts)
        self._sync = sync

    def find(self) -> FoundJournal | None:
        """Return the journal of an earlier run where its pieces can be used; None where nothing is to be resumed.

        Raises OutputExistsError where the folder holds finished pieces of other work.
        """
        found = read_journal(self.folder / JOURNAL_NAME)
        if found is None or not found.pieces or not self.model.is_dir():
            return None  # nothing was finished, or all was published
        if found.header.folder != self.model.stat().st_ino:
            return None  # this is the output that a run replaced before it was killed
        self._refuse_other_work(found.header)
        return found if self._files_stand(self.model) else None

    def find_published(self) -> FoundJournal | None:
        """Return the journal of a run of the same work that was killed after the target had appeared; else None."""
        found = read_journal(self.folder / JOURNAL_NAME)
        if found is None or len(found.pieces) != len(self.layout.pieces) or self._changed(found.header):
            return None
        if not self.target.is_dir() or found.header.folder != self.target.stat().st_ino:
            return None
        return found if self._files_stand(self.target) else None

    def _refuse_other_work(self, begun: JournalHeader) -> None:
        changed = self._changed(begun)
        if changed:
            got = f"finished pieces of another run, with another {', another '.join(changed)}"
            advice = "Run what was begun, or add --restart to remove the pieces and begin anew."
            raise OutputExistsError(
                Problem("A run may go on only with what it began with.", got, str(self.target), advice)
            )

    def create(self) -> tuple[list[int], Journal]:
        """Make the folder anew: files of full size with their headers, then the journal, all synced."""
        self.remove()
        self.model.mkdir(parents=True)
        descriptors: list[int] = []
        try:
            for name, header, size in self.layout.files:
                descriptors.append(os.open(self.model / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))
                preallocate(descriptors[-1], size)
                write_all(descriptors[-1], memoryview(header), 0)
                if self._sync:
                    os.fsync(descriptors[-1])
            if self._sync:
                sync_folder(self.model)
            failpoint("staged")
            begun = JournalHeader(self._key, __version__, self.layout.digest, self.model.stat().st_ino, self._parts)
            journal = Journal.create(self.folder / JOURNAL_NAME, begun, sync=self._sync)
            if self._sync:
                sync_folder(self.folder)
                sync_folder(self.target.parent)
            failpoint("journalled")
        except BaseException:
            close_all(descriptors)
            raise
        return descriptors, journal

    def resume(self, found: FoundJournal, folder: Path) -> tuple[list[int], Journal]:
        """Open the files that an earlier run left in `folder`, and its journal behind its last whole line."""
        descriptors: list[int] = []
        try:
            for name, _, _ in self.layout.files:
                descriptors.append(os.open(folder / name, os.O_RDWR))
            return descriptors, Journal.resume(self.folder / JOURNAL_NAME, found.end, sync=self._sync)
        except BaseException:
            close_all(descriptors)
            raise

    def allocated(self) -> int:
        """Return the bytes on disk that the weight files hold already."""
        files = (self.model / name for name, _, _ in self.layout.files)
        return sum(file.stat().st_blocks * 512 for file in files if file.is_file())

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        if self.folder.is_symlink():
            self.folder.unlink()
        elif self.folder.exists():
            shutil.rmtree(self.folder)

    def _changed(self, header: JournalHeader) -> list[str]:
        """Name what the earlier run began with and this one does not have."""
        if header.version != __version__:
            return [f"version of Suture ({header.version})"]
        if (header.key, header.layout) == (self._key, self.layout.digest):
            return []
        names = {**header.parts, **self._parts}
        parts = [name for name in names if header.parts.get(name) != self._parts.get(name)]
        layout = ["layout of the output"] if header.layout != self.layout.digest and not parts else []
        return parts or layout or ["recipe or parent"]

    def _files_stand(self, folder: Path) -> bool:
        """Say whether every weight file stands in `folder` with its size and its header."""
        for name, header, size in self.layout.files:
            file = folder / name
            if not file.is_file() or file.stat().st_size != size:
                return False
            with file.open("rb") as stream:
                if stream.read(len(header)) != header:
                    return False
        return True


def close_all(descriptors: list[int]) -> None:
    """Close the files and forget them."""
    while descriptors:
        os.close(descriptors.pop())
