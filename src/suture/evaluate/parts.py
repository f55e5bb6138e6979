"""Finished parts of a task that still runs, so that a killed run goes on where it was.

    results/<weights digest, 12>/<task>/parts-<digest of the key, 12>/key.json, 00000.parquet, 00001.parquet, ...

A part is the rows of one batch, written whole or not at all, mode 0600. The key is the one of the finished results
(weights, tokenizer, template, items, protocol, decoding, engine, versions): other parts are never read. Batches are cut
from the items in one way whatever was interrupted, so the rows are those of an uninterrupted run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.errors import OutputExistsError, Problem
from suture.evaluate.items import ItemRow, make_private, read_table, replace_private, write_table


class Parts:
    """The finished parts of one task under one key."""

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        text = json.dumps(dict(key), indent=1, sort_keys=True)
        self.task = folder
        self.folder = folder / f"parts-{blake3(text.encode()).hexdigest()[:12]}"
        make_private(self.folder)
        about = self.folder / "key.json"
        if not (about.is_file() and about.read_text(encoding="utf-8") == text):
            for path in self.folder.iterdir():
                path.unlink()
            replace_private(about, lambda path: path.write_text(text, encoding="utf-8"))

    def read(self, number: int) -> list[ItemRow] | None:
        """Return the rows of part `number`, None where it is not finished."""
        path = self.folder / f"{number:05d}.parquet"
        return read_table(path) if path.is_file() else None

    def write(self, number: int, rows: Sequence[ItemRow]) -> None:
        """Keep the rows of part `number`."""
        write_table(self.folder / f"{number:05d}.parquet", rows)

    def remove(self) -> None:
        """Remove all parts of the task, also those of other keys: its results are complete."""
        for place in self.task.glob("parts-*"):
            shutil.rmtree(place)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a model's result folder while the block runs; raises OutputExistsError where another run holds it."""
    make_private(folder)
    with os.fdopen(os.open(folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            got, do = "another run", "Wait for it to end, or choose another --out."
            raise OutputExistsError(Problem("One run at a time may write here.", got, str(folder), do)) from None
        yield
