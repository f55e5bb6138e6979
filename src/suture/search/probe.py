"""Scores of candidates: merged live into one loaded model, read item by item, and kept so that none is read twice.

    candidates/<digest, 16>/recipe.yaml          the candidate
    candidates/<digest, 16>/<task>.<n>.json      item id -> metric -> score, one file for each time that items were read

Files hold ids and scores, no texts; folders have mode 0700 and files 0600. A file appears whole or not at all.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from suture.checkpoint.disk import named_errors
from suture.checkpoint.lock import OutputLock
from suture.errors import IntegrityError, NumericError, OutputExistsError, Problem, some
from suture.evaluate import generation, ifeval, reading
from suture.evaluate.items import ItemRow
from suture.evaluate.metrics import facts
from suture.events import track
from suture.report.private import write_private
from suture.search.race import Vector
from suture.search.splits import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suture.evaluate.engine import Engine
    from suture.live import LiveMerge

Scores = dict[str, dict[str, float]]
# reader(engine of the candidate, task, items, digest) -> one row an item
Reader = Callable[[Any, Any, Sequence[Any], str], Sequence[ItemRow]]
POLL_SECONDS = 0.2
BATCH = 32  # answers written at a time


class FailedCandidate(Exception):  # noqa: N818 - it ends one candidate, not the run
    """A candidate whose outputs are not numbers; the search goes on without it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Kept:
    """What was read of each candidate, in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, digest: str) -> Path:
        """Return where one candidate's scores lie."""
        return self.root / digest[:16]

    def read(self, digest: str, task: str) -> Scores:
        """Return all scores of one candidate and task. Raises IntegrityError for a file that is not whole."""
        found: Scores = {}
        for path in sorted(self.folder(digest).glob(f"{task}.*.json")):
            try:
                found.update(json.loads(path.read_text(encoding="utf-8")))
            except ValueError:
                must = "Kept scores must be whole."
                do = "Remove the file: its items are read again."
                raise IntegrityError(Problem(must, "unreadable JSON", str(path), do)) from None
        return found

    def add(self, digest: str, task: str, scores: Scores) -> None:
        """Keep more scores."""
        folder = self.folder(digest)
        number = 1 + max((int(path.name.split(".")[1]) for path in folder.glob(f"{task}.*.json")), default=-1)
        with named_errors(folder, 0, "What was read before is kept: run it again."):
            write_private(folder / f"{task}.{number:04d}.json", json.dumps(scores, sort_keys=True, allow_nan=False))

    def fail(self, digest: str) -> None:
        """Keep that the candidate's outputs are not numbers."""
        write_private(self.folder(digest) / "failed", "not a number\n")

    def failed(self, digest: str) -> bool:
        """Whether that is known."""
        return (self.folder(digest) / "failed").exists()


class Probe:
    """Reads candidates; the model is loaded when the first of them is merged. Several processes share the work."""

    def __init__(self, kept: Kept, *, device: str = "cpu", workers: int | None = None) -> None:
        self.kept = kept
        self._device, self._workers = device, workers
        self.readers: dict[str, Reader] = {}  # of further kinds of tasks, which read in their own way
        self._live: LiveMerge | None = None
        self._engine: Engine | None = None

    def close(self) -> None:
        """Let the models go."""
        if self._live is not None:
            self._live.close()
            self._live = self._engine = None

    def scores(
        self, recipes: Mapping[str, str], wanted: Sequence[tuple[Measured, Sequence[Any]]], what: str
    ) -> dict[str, list[Vector]]:
        """Return digest -> one array for each wanted objective, of its items in their order.

        recipes: digest -> recipe, as YAML. What another process reads meanwhile is waited for. Raises FailedCandidate.
        """
        left = [digest for digest in recipes if not self.known(digest, wanted)]
        if left:
            self._share(left, recipes, wanted, what)
        return {digest: [self.column(digest, one, items) for one, items in wanted] for digest in recipes}

    def _share(
        self,
        left: list[str],
        recipes: Mapping[str, str],
        wanted: Sequence[tuple[Measured, Sequence[Any]]],
        what: str,
    ) -> None:
        """Read what no other process reads, until everything is read."""
        with track(what, len(left), "candidate") as advance:
            while left:
                before = len(left)
                for digest in list(left):
                    if self.known(digest, wanted) or self._claim(digest, recipes[digest], wanted):
                        left.remove(digest)
                        advance(1)
                if len(left) == before:
                    time.sleep(POLL_SECONDS)

    def known(self, digest: str, wanted: Sequence[tuple[Measured, Sequence[Any]]]) -> bool:
        """Whether all that is wanted of a candidate was read. Raises FailedCandidate."""
        if self.kept.failed(digest):
            raise FailedCandidate(digest)
        return not any(self._missing(digest, wanted).values())

    def _missing(self, digest: str, wanted: Sequence[tuple[Measured, Sequence[Any]]]) -> dict[str, list[Any]]:
        missing: dict[str, dict[str, Any]] = {}
        for one, items in wanted:
            known = self.kept.read(digest, one.task.name)
            some = missing.setdefault(one.task.name, {})
            some.update({item.id: item for item in items if item.id not in known})
        return {task: list(items.values()) for task, items in missing.items()}

    def _claim(self, digest: str, recipe: str, wanted: Sequence[tuple[Measured, Sequence[Any]]]) -> bool:
        """Read a candidate that no other process reads; False where one does."""
        folder = self.kept.folder(digest)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with OutputLock(folder):
                if not self.known(digest, wanted):
                    self._read(digest, recipe, wanted)
        except OutputExistsError:
            return False
        return True

    def _read(self, digest: str, recipe: str, wanted: Sequence[tuple[Measured, Sequence[Any]]]) -> None:
        written = self.kept.folder(digest) / "recipe.yaml"
        if not written.exists():
            write_private(written, recipe)
        try:
            engine = self.merged(recipe)
            for task, items in self._missing(digest, wanted).items():
                if items:
                    goals = [one for one, _ in wanted if one.task.name == task]
                    self.kept.add(digest, task, read_items(engine, goals, items, digest, readers=self.readers))
        except NumericError:
            self.kept.fail(digest)
            raise FailedCandidate(digest) from None

    def merged(self, recipe: str) -> Engine:
        """Merge a recipe into the loaded model, which stays that of the recipe until the next call."""
        from suture.evaluate.engine import Engine
        from suture.evaluate.packaged import stay_offline
        from suture.live import LiveMerge
        from suture.recipe import parse_recipe

        parsed = parse_recipe(recipe, "candidate")
        if self._live is None or self._engine is None:
            stay_offline()
            self._live = LiveMerge(parsed, dtype="float32", device=self._device)
            self._engine = Engine(self._live.model, self._live.tokenizer)
        self._live.merge_as(parsed, workers=self._workers)
        return self._engine

    def column(self, digest: str, one: Measured, items: Sequence[Any]) -> NDArray[np.float64]:
        """Return the kept scores of one candidate and objective, of items that were read."""
        known, metric = self.kept.read(digest, one.task.name), one.goal.measure
        return np.array([known[item.id][metric] for item in items], dtype=np.float64)


def read_items(
    engine: Engine,
    goals: Sequence[Measured],
    items: Sequence[Any],
    digest: str,
    *,
    readers: Mapping[str, Reader] = MappingProxyType({}),
) -> Scores:
    """Read or answer items of one task for all objectives of it. Raises NumericError where one is not finite.

    readers: how tasks of further kinds are read. Metrics that are no objective may be NaN (facts of a note without any)
    and are not kept.
    """
    own = readers.get(goals[0].task.kind)
    rows = own(engine, goals[0].task, items, digest) if own else _rows(engine, goals[0], items, digest)
    found = {row.item_id: {name: value for name, value in row.scores.items() if math.isfinite(value)} for row in rows}
    for one in goals:
        bad = [name for name, scores in found.items() if one.goal.measure not in scores]
        if bad:
            must = f"{one.goal.name} must be a number for every item."
            raise NumericError(Problem(must, f"{len(bad)} of {len(found)} that are not: {some(sorted(bad))}"))
    return found


def _rows(engine: Engine, one: Measured, items: Sequence[Any], digest: str) -> Sequence[ItemRow]:
    def silent(_: int) -> None:
        """Progress is that of the candidates."""

    if one.task.kind == "ifeval":
        return ifeval.answer_records(engine, one.task, items, digest, BATCH, silent)
    if one.task.kind == "generation":
        words = facts.vocabulary(record.facts for record in (*one.dev, *one.test))
        return generation.answer(engine, one.task, items, words, digest, BATCH, silent)
    read: Any = {"contrast": reading.contrast, "choice": reading.choose, "likelihood": reading.likelihood}[
        one.task.kind
    ]
    rows: Sequence[ItemRow] = read(engine, one.task, items, digest, silent)
    return rows


@contextmanager
def waiting(target: Path) -> Iterator[None]:
    """Hold the lock of `target` while the block runs, after waiting for other processes."""
    while True:
        lock = OutputLock(target)
        try:
            lock.__enter__()
            break
        except OutputExistsError:
            time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
