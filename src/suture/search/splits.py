"""The items of a search: a development split, read in one drawn order, and a test split that shares no cluster with it.

Which side a cluster (encounter, topic) falls on is decided by a digest of the seed and its name, so that tasks made
from the same encounters are divided alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.data.leakage import shared_ngrams, text_of
from suture.data.records import digest_items
from suture.errors import Problem, UsageError, refuse, some
from suture.evaluate import ifeval
from suture.search.race import FEWEST_CLUSTERS
from suture.search.space import Goal, Space
from suture.study.tasks import SOURCES, TEMPLATED
from suture.study.texts import own_workload
from suture.tasks.task import Task

WORDS = 8


@dataclass(frozen=True, slots=True)
class Measured:
    """One objective with its items; `dev` stands in the order in which items are read.

    left_out: test items that are not there because they share words with development items.
    """

    goal: Goal
    task: Task
    dev: tuple[Any, ...]
    test: tuple[Any, ...]
    left_out: int = 0

    @property
    def dev_clusters(self) -> tuple[str, ...]:
        """The cluster of each development item."""
        return tuple(cluster_of(item) for item in self.dev)

    @property
    def test_clusters(self) -> tuple[str, ...]:
        """The cluster of each test item."""
        return tuple(cluster_of(item) for item in self.test)


def cluster_of(item: Any) -> str:
    """Return the topic of a contrast pair, the encounter of other items; items without one stand alone."""
    return str(getattr(item, "topic", "") or getattr(item, "encounter", "") or item.id)


def measured(space: Space) -> tuple[Measured, ...]:
    """Read and divide the items of all objectives. Raises UsageError for splits that are too small or that overlap."""
    found, problems = without_leaks(space, [_measured(space, goal) for goal in space.objectives])
    for one in found:
        for name, items in (("development", one.dev), ("test", one.test)):
            clusters = len({cluster_of(item) for item in items})
            if clusters < FEWEST_CLUSTERS:
                must = f"The {name} split must have items of at least {FEWEST_CLUSTERS} encounters or topics."
                do = "Give more items, or another share 'dev'."
                problems.append(Problem(must, str(clusters), f"objectives, {one.goal.name}", do))
    dev = {cluster_of(item) for one in found for item in one.dev}
    for one in found:
        shared = dev & {cluster_of(item) for item in one.test}
        if shared:
            must = "The test split must share no encounter or topic with the development split."
            problems.append(Problem(must, f"{len(shared)} shared", f"objectives, {one.goal.name}"))
    refuse(UsageError, problems)
    return found


def without_leaks(space: Space, found: Sequence[Measured]) -> tuple[tuple[Measured, ...], list[Problem]]:
    """Return the objectives without test items that share eight words in a row with any development item; problems.

    Where the search divides one set, such items are left out of the test and counted. A file of test items is the
    user's word, so there they are a problem, unless the space says `leakage: leave-out`. Built-in items of the
    synthetic clinic and contrast pairs are made of the same sentences by design, and are not asked.
    """
    if space.leakage == "allow":
        return tuple(found), []
    learnt = [text_of(item) for one in found if not _templated(one.goal) for item in one.dev]
    kept, problems = [], []
    for one in found:
        asked = [] if _templated(one.goal) else [text_of(item) for item in one.test]
        shared = {j for _, j in shared_ngrams(learnt, asked, WORDS)}
        if shared and one.goal.test_items is not None and space.leakage == "refuse":
            must = f"No test item may share {WORDS} words in a row with a development item."
            named = some([one.test[j].id for j in sorted(shared)])
            do = "Write 'leakage: leave-out' to test on the others, or 'leakage: allow' knowingly."
            got = f"{len(shared)} of {len(one.test)} that do: {named}"
            problems.append(Problem(must, got, f"objectives, {one.goal.name}", do))
        clear = tuple(item for j, item in enumerate(one.test) if j not in shared)
        kept.append(replace(one, test=clear, left_out=len(shared)))
    return tuple(kept), problems


def _templated(goal: Goal) -> bool:
    return goal.items is None and SOURCES.get(goal.task) in TEMPLATED


def split_digest(found: Sequence[Measured], *, test: bool) -> str:
    """Return the BLAKE3 of all items of one split and of the tasks that read them, whatever their order."""
    lines = []
    for one in found:
        items = sorted(one.test if test else one.dev, key=lambda item: item.id)
        task = blake3(repr(sorted(asdict(one.task).items())).encode()).hexdigest()
        lines.append(f"{one.goal.name}\t{task}\t{digest_items(items)}")
    return blake3("\n".join(sorted(lines)).encode()).hexdigest()


def _measured(space: Space, goal: Goal) -> Measured:
    task, items = _items(space, goal, goal.items or "")
    if goal.test_items is not None:
        _, test = _items(space, goal, goal.test_items)
        dev = items
    else:
        dev = [item for item in items if _part(space.seed, "split", cluster_of(item)) < space.dev]
        chosen = {item.id for item in dev}
        test = [item for item in items if item.id not in chosen]
    drawn = sorted(dev, key=lambda item: (_part(space.seed, "order", item.id), item.id))
    if goal.new_tokens is not None:
        task = replace(task, max_new_tokens=goal.new_tokens)
    return Measured(goal, task, tuple(drawn), tuple(test))


def _items(space: Space, goal: Goal, file: str) -> tuple[Task, list[Any]]:
    """Return the task and its items, each with an id of its own; IFEval's prompts become records."""
    load = own_workload(goal.task, file, data=space.data)
    items: list[Any] = ifeval.records_of(load.items) if isinstance(load.items, Path) else list(load.items)
    twice = sum(count > 1 for count in Counter(item.id for item in items).values())
    if twice:
        where = str(Path(goal.items or goal.task))
        raise UsageError(Problem("Each item must have an id of its own.", f"{twice} ids twice", where))
    return load.task, items


def _part(seed: int, what: str, name: str) -> float:
    """A number in [0, 1) drawn by the digest of its arguments."""
    return int.from_bytes(blake3(f"{seed}\0{what}\0{name}".encode()).digest()[:8], "big") / 2**64
