"""Gram matrices of a set of parents, kept between merges: another coefficient then costs one pass instead of two.

One file a set of parents, in the user's cache folder, named by the identity of their weight files (device, inode, size,
time) in their order. Where a merge digests its inputs, the digests of the run that made the matrices must be the same:
a file that was changed behind its time stamp is noticed, and the matrices are not used again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from blake3 import blake3

from suture.checkpoint.header import TensorInfo
from suture.checkpoint.reader import TensorReader
from suture.errors import IntegrityError, Problem
from suture.methods.gram import Gram
from suture.plan import TensorJob

FORMAT = 1


def cache_folder() -> Path:
    """Where Suture keeps what it can make again: SUTURE_CACHE, else the user's cache folder."""
    own = os.environ.get("SUTURE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "suture"


class GramCache:
    """The matrices of one set of parents. grams: by tensor, for the engine to use and to fill."""

    def __init__(self, folder: Path, readers: Sequence[TensorReader], jobs: Sequence[TensorJob]) -> None:
        name = blake3("\n\n".join(reader.identity() for reader in readers).encode()).hexdigest(length=16)
        self.file = folder / "grams" / f"{name}.json"
        self._inputs = {job.name: _describe(job) for job in jobs if job.action == "merge"}
        self.digests: tuple[str, ...] | None = None
        self.grams: dict[str, Gram] = {}
        self._load()
        self._before = len(self.grams)

    def stale(self, digests: tuple[str, ...] | None) -> bool:
        """Whether matrices were used that are of other weights than a run read."""
        return bool(self._before and digests is not None and self.digests is not None and digests != self.digests)

    def check(self, digests: tuple[str, ...] | None) -> None:
        """Hold the digests that a run read against those that the matrices were made from.

        Raises IntegrityError where they differ; the matrices are then gone.
        """
        if self.stale(digests):
            self.file.unlink(missing_ok=True)
            must = "Parents must be those whose Gram matrices are kept."
            raise IntegrityError(
                Problem(must, "changed files with old time stamps", str(self.file), "They are gone now: run it again.")
            )

    def save(self, digests: tuple[str, ...] | None) -> None:
        """Keep what was added. A cache that cannot be written is no error."""
        if len(self.grams) == self._before:
            return
        content = {
            "format": FORMAT,
            "digests": digests or self.digests,
            "grams": {
                name: {"inputs": self._inputs[name], "matrix": gram.matrix.tolist()}
                for name, gram in sorted(self.grams.items())
            },
        }
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            staging = self.file.with_name(f"{self.file.name}.{os.getpid()}")
            staging.write_text(json.dumps(content), encoding="utf-8")
            staging.replace(self.file)

    def _load(self) -> None:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                return
            self.digests = tuple(content["digests"]) if content["digests"] else None
            for name, held in content["grams"].items():
                if held["inputs"] == self._inputs.get(name):
                    self.grams[name] = Gram(np.array(held["matrix"], np.float64), 0)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.grams.clear()


def _describe(job: TensorJob) -> list[object]:
    """What the matrix of a job is of, as it comes back from JSON."""
    inputs = [
        [model, given.name, given.dtype, given.shape] if isinstance(given, TensorInfo) else [model, given.describe()]
        for model, given in zip(job.models, job.inputs, strict=True)
    ]
    found: list[object] = json.loads(json.dumps(inputs))
    return found
