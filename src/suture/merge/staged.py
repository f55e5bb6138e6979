"""The result of an earlier stage as an input: computed while it is read, never written."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from suture import kernels
from suture.checkpoint.source import ReaderOf
from suture.merge.backend import Backend
from suture.merge.buffers import STORED, Desk
from suture.merge.evaluation import Evaluation
from suture.numerics.keys import random_key
from suture.plan import StagedInput


class StagedSource:
    """An evaluation of the stage's own job; its passes are made once, by the first thread that reads."""

    def __init__(self, given: StagedInput, reader_of: ReaderOf, backend: Backend) -> None:
        self._given = given
        self._evaluation = Evaluation(given.job, reader_of, backend, given.seed)
        self._key = random_key(given.seed, given.job.name, "rounding")
        self._passes = threading.Lock()
        self._desks = threading.local()

    def read_f32(self, start: int, out: NDArray[np.float32]) -> None:
        """Fill `out` with the stage's elements from `start` on; any thread."""
        desk = self._desk()
        with self._passes:
            self._evaluation.run_passes(desk)
        for begin, size in self._evaluation.walk(start, len(out)):
            blocks = self._evaluation.blocks(begin, size, desk)
            whole = self._evaluation.backend.empty(desk.floats("stage", size))
            self._evaluation.combine(blocks, whole)
            low, high = max(begin, start), min(begin + size, start + len(out))
            out[low - start : high - start] = self._evaluation.backend.host(whole[low - begin : high - begin])
        self._round(start, out)

    def _round(self, start: int, values: NDArray[np.float32]) -> None:
        """Round as if the stage had been written."""
        if self._given.rounding == "none":
            return
        stored = np.empty(len(values), STORED[self._given.dtype])
        rounding = self._given.rounding
        kernels.narrow(values, self._given.dtype, stored, rounding=rounding, key=self._key, start=start)
        kernels.widen(stored, self._given.dtype, values)

    def _desk(self) -> Desk:
        if not hasattr(self._desks, "desk"):
            self._desks.desk = Desk(self._evaluation.backend.block_elements)
        desk: Desk = self._desks.desk
        return desk
