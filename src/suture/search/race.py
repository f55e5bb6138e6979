"""Racing: items are read only for candidates that a paired comparison cannot yet rule out at a stated confidence.

All candidates read the same items in the same order, so every comparison is paired by item. After each look, a
candidate is ruled out when some other one is better with confidence:

- goal "best": the difference of the weighted sums of objectives has a one-sided Student t bound above 0. All rivals of
  the best candidate at all looks are at most (K - 1) L comparisons; at level alpha / ((K - 1) L) each (Bonferroni) the
  best of K is ruled out with probability at most alpha = 1 - confidence;
- goal "front": the bound of every objective is above 0. A candidate of the true front is at least as good as any other
  one in some objective, so one comparison of a pair errs with at most its own level (an intersection-union test,
  Berger 1982); over all K (K - 1) ordered pairs and L looks no member of the front is ruled out with that confidence.

Racing after Maron and Moore (1994); paired differences and t bounds after Moore and Lee (1994), there Gaussian and
without the correction for looks. Standard errors are by cluster (encounter, topic), a cluster that answers several
objectives counted once. The t bound is exact for Gaussian differences of clusters and approximate else: the rate is
checked by simulation, not proven for every distribution. The bound is about the population that the items were drawn
from, so it is wider than one for the best on the development split alone.

Where a budget does not pay for reading everything of all that are left, looks follow sequential halving (Karnin, Koren
and Somekh 2013): log2 K looks share the budget alike, and after each the worse half by the weighted sum is *set aside*,
with no confidence claimed. Candidates that are ruled out before leave their share to the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from suture.errors import Problem, UsageError, refuse

Vector = NDArray[np.float64]
Goal = Literal["best", "front"]
FEWEST_CLUSTERS = 4


@dataclass(frozen=True, slots=True)
class Objective:
    """One measure: its items' clusters in the order in which they are read, and what a unit of it is worth.

    worth: added to a candidate's value for each unit of the mean; negative where less is better, never 0.
    """

    name: str
    clusters: tuple[str, ...]
    worth: float


@dataclass(frozen=True, slots=True)
class Rules:
    """How a race is run.

    confidence: in (0, 1). rivals: candidates that are ever compared, at least those of this race (a search of several
    races corrects for all); races: how many races that search runs. looks: how often all that are left are compared;
    shares of the items double from look to look, up to all; with a budget there are log2 K looks instead. budget: items
    read at most, over all candidates and objectives; None: no limit.
    """

    confidence: float = 0.95
    goal: Goal = "best"
    rivals: int = 0
    races: int = 1
    looks: int = 5
    budget: int | None = None

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.confidence < 1:
            problems.append(Problem("confidence must be in (0, 1).", str(self.confidence), "confidence"))
        problems += [
            Problem(f"{name} must be at least 1.", str(count), name)
            for name, count in (("looks", self.looks), ("races", self.races))
            if count < 1
        ]
        refuse(UsageError, problems)


@dataclass(frozen=True, slots=True)
class Fate:
    """How a candidate left the race: "left" to the end, "ruled out" (by whom), or "set aside"; at which look.

    read: items read of each objective. means: of these, in the objective's unit. value: the weighted sum of means.
    """

    state: Literal["left", "ruled out", "set aside"]
    look: int
    read: tuple[int, ...]
    means: tuple[float, ...]
    value: float
    by: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A race that ended: the fate of every candidate, the leader among those left, how many items were read."""

    fates: Mapping[str, Fate]
    leader: str
    items_read: int


# oracle(names, start, end): for each name, one array of scores for each objective k, of its items start[k] to end[k].
Oracle = Callable[[Sequence[str], Sequence[int], Sequence[int]], Sequence[Sequence[Vector]]]


def race(
    candidates: Sequence[str],
    objectives: Sequence[Objective],
    oracle: Oracle,
    rules: Rules,
    *,
    known: Mapping[str, Sequence[int]] | None = None,
) -> Outcome:
    """Race `candidates`, whose scores `oracle` gives. known: items already read, by name, which cost nothing more.

    Deterministic: the same scores make the same race. Ties go to the candidate that is named first. Raises UsageError
    for no candidates, and for a budget that does not pay for the first look.
    """
    return _Race(candidates, objectives, oracle, rules, known or {}).run()


def look_sizes(objectives: Sequence[Objective], looks: int) -> list[tuple[int, ...]]:
    """Return how many items of each objective are read at each look: shares of 1/2**k, at least a few clusters."""
    sizes = []
    for depth in range(looks - 1, -1, -1):
        wanted = [math.ceil(len(o.clusters) / 2**depth) for o in objectives]
        sizes.append(tuple(max(n, _fewest(o)) for n, o in zip(wanted, objectives, strict=True)))
    return [size for k, size in enumerate(sizes) if k == 0 or size != sizes[k - 1]]


def _fewest(objective: Objective) -> int:
    seen: set[str] = set()
    for number, cluster in enumerate(objective.clusters, 1):
        seen.add(cluster)
        if len(seen) == FEWEST_CLUSTERS:
            return number
    return len(objective.clusters)


class _Race:
    def __init__(
        self,
        names: Sequence[str],
        objectives: Sequence[Objective],
        oracle: Oracle,
        rules: Rules,
        known: Mapping[str, Sequence[int]],
    ) -> None:
        if not names or not objectives or any(not o.clusters for o in objectives):
            raise UsageError(Problem("A race needs candidates, objectives and items.", "none", "race"))
        self.names, self.objectives, self.oracle, self.rules = list(names), objectives, oracle, rules
        self.sizes = look_sizes(objectives, rules.looks)
        halvings = max(1, math.ceil(math.log2(len(names))))
        self.looks = len(self.sizes) if rules.budget is None else halvings
        self.active = list(range(len(names)))
        self.scores: list[list[Vector]] = [[np.empty(0) for _ in objectives] for _ in names]
        self.known = [tuple(known.get(name, (0,) * len(objectives))) for name in names]
        self.spent = 0
        self.fates: dict[int, Fate] = {}
        self.clusters = [np.asarray(o.clusters) for o in objectives]
        total = max(rules.rivals, len(names))
        pairs = total - 1 if rules.goal == "best" else total * (total - 1)
        self.level = (1 - rules.confidence) / max(1, pairs * self.looks * rules.races)

    def run(self) -> Outcome:
        before: tuple[int, ...] = (0,) * len(self.objectives)
        last = 0
        for look in range(self.looks):
            size = self.sizes[look] if self.rules.budget is None else self._afforded(look, before)
            if size == before:
                break
            last = look
            names = [self.names[i] for i in self.active]
            for i, found in zip(self.active, self.oracle(names, before, size), strict=True):
                joined = zip(self.scores[i], found, strict=True)
                self.scores[i] = [np.concatenate([old, np.asarray(new, dtype=np.float64)]) for old, new in joined]
            self.spent += self._cost(before, size)
            before = size
            self._rule_out(look, size)
            if len(self.active) == 1:
                break
        for i in self.active:
            self.fates[i] = self._fate(i, "left", last)
        leader = self._ranked()[0]
        named = {self.names[i]: self.fates[i] for i in range(len(self.names))}
        return Outcome(named, self.names[leader], self.spent)

    def _afforded(self, look: int, before: tuple[int, ...]) -> tuple[int, ...]:
        """Set aside what the budget does not pay for; return how far the others read, `before` where no further."""
        left = (self.rules.budget or 0) - self.spent
        whole = tuple(len(o.clusters) for o in self.objectives)
        if self._cost(before, whole) <= left:
            return whole
        if look:
            ranked = self._ranked()
            keep = max(2, math.ceil(len(self.names) / 2**look))
            for i in ranked[keep:]:
                self.fates[i] = self._fate(i, "set aside", look - 1)
            self.active = sorted(ranked[:keep])
            if self._cost(before, whole) <= left:
                return whole
        more = left / (self.looks - look) / len(self.active) / sum(whole)
        size = tuple(min(n, had + int(more * n)) for n, had in zip(whole, before, strict=True))
        if look:
            return size
        size = tuple(max(n, _fewest(o)) for n, o in zip(size, self.objectives, strict=True))
        needed = self._cost(before, size)
        if needed > left:
            must = f"The budget must pay for a first look at all candidates: {needed:,} items."
            raise UsageError(Problem(must, f"{left:,} items", "items", "Allow more items or fewer candidates."))
        return size

    def _cost(self, before: Sequence[int], size: Sequence[int]) -> int:
        """Items that the candidates left must still read for a look."""
        return sum(
            max(0, end - max(start, had))
            for i in self.active
            for start, end, had in zip(before, size, self.known[i], strict=True)
        )

    def _rule_out(self, look: int, size: tuple[int, ...]) -> None:
        from scipy import stats

        active = self.active
        if len(active) < 2:
            return
        clusters = [names[:n] for names, n in zip(self.clusters, size, strict=True)]
        scores = [np.stack([self.scores[i][k] for i in active]) for k in range(len(self.objectives))]
        if self.rules.goal == "best":
            kinds = [[(k, o.worth) for k, o in enumerate(self.objectives)]]
        else:
            kinds = [[(k, math.copysign(1.0, o.worth))] for k, o in enumerate(self.objectives)]
        worse = np.ones((len(active), len(active)), dtype=bool)  # [i, j]: i is worse than j, with confidence
        for kind in kinds:
            parts = [(worth * scores[k], clusters[k]) for k, worth in kind]
            fewest = min(len(np.unique(c)) for _, c in parts)
            if fewest < 2:
                return
            bound = float(stats.t.isf(self.level, fewest - 1))
            worse &= paired_bounds(parts, bound) > 0
        for i, rivals in zip(list(active), worse, strict=True):
            if rivals.any():
                best = max(np.flatnonzero(rivals), key=lambda j: self._value(active[j]))
                self.fates[i] = self._fate(i, "ruled out", look, by=self.names[active[best]])
        self.active = [i for i in active if i not in self.fates]

    def _value(self, i: int) -> float:
        return sum(o.worth * float(s.mean()) for o, s in zip(self.objectives, self.scores[i], strict=True))

    def _ranked(self) -> list[int]:
        return sorted(self.active, key=lambda i: (-self._value(i), i))

    def _fate(self, i: int, state: Literal["left", "ruled out", "set aside"], look: int, by: str = "") -> Fate:
        read = tuple(len(s) for s in self.scores[i])
        return Fate(state, look, read, tuple(float(s.mean()) for s in self.scores[i]), self._value(i), by)


def paired_bounds(parts: Sequence[tuple[Vector, NDArray[np.str_]]], bound: float) -> Vector:
    """Return the lower confidence bounds [i, j] of value j - value i, `bound` standard errors below the estimate.

    parts: one (scores [candidates, items], cluster of each item) for each objective whose means are added up. The
    error is cluster-robust (as `suture.compare.statistics.cluster_error`), over the clusters of all objectives. Of 0/1
    scores a pair of items counts one way and the other that was not seen (half an item in each cell, as Agresti and
    Min 2005 add for paired proportions): a handful of flips in one direction has no variance, and is no proof.
    """
    values, moves = cluster_moves(parts)
    groups = moves.shape[1]
    gram = moves @ moves.T
    squared = np.diag(gram)[:, None] + np.diag(gram)[None, :] - 2 * gram
    unseen = sum(_unseen(scores) for scores, _ in parts) * (1 - np.eye(len(values)))
    error = np.sqrt((np.maximum(squared, 0.0) + unseen) * groups / (groups - 1))
    return np.asarray(values[None, :] - values[:, None] - bound * error)


def _unseen(scores: Vector) -> float:
    """The variance that an unseen pair of flips adds to the mean of 0/1 scores times a worth; 0 for other scores."""
    worth = float(np.abs(scores).max())
    binary = worth > 0 and bool(np.isin(np.abs(scores) / worth, (0.0, 1.0)).all()) and bool((scores == 0).any())
    return 2 * (worth / scores.shape[1]) ** 2 if binary else 0.0


def cluster_moves(parts: Sequence[tuple[Vector, NDArray[np.str_]]]) -> tuple[Vector, Vector]:
    """Return the sums of means (candidates,), and how far each cluster moves them (candidates, clusters)."""
    _, index = np.unique(np.concatenate([clusters for _, clusters in parts]), return_inverse=True)
    count = int(index.max()) + 1
    rows = parts[0][0].shape[0]
    values, moves = np.zeros(rows), np.zeros((rows, count))
    start = 0
    for scores, clusters in parts:
        own = index[start : start + len(clusters)]
        start += len(clusters)
        means = scores.mean(axis=1)
        values += means
        member = np.zeros((len(clusters), count))
        member[np.arange(len(clusters)), own] = 1.0
        moves += (scores - means[:, None]) @ member / len(clusters)
    return values, moves
