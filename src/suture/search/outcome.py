"""What a search found: the Pareto front with intervals, the recommended recipe and why, how flat the optimum is.

Everything is computed from scores by item; intervals are those of `suture.compare.statistics`, by cluster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from suture.compare.bounded import value_range
from suture.compare.pareto import front
from suture.compare.statistics import estimate_difference, estimate_mean, is_binary
from suture.search.candidates import METHOD, Point, describe, dimensions
from suture.search.race import Fate, Vector
from suture.search.space import Space
from suture.search.splits import Measured

SHORT = 12
FLAT = 0.25  # share of a dimension's range that is left at the end from which the optimum is called flat


@dataclass(frozen=True, slots=True)
class Found:
    """The end of all races. scores: of each candidate, one array for each objective, of the development items read.

    distances: of candidates that the screen looked at (`suture.search.screen`); discarded: those that it kept out.
    """

    space: Space
    measured: tuple[Measured, ...]
    units: Sequence[float]
    points: Mapping[str, Point]
    fates: Mapping[str, Fate]
    scores: Mapping[str, Sequence[Vector]]
    leader: str
    failed: tuple[str, ...]
    items_read: int
    items_of_parents: int
    distances: Mapping[str, float] = field(default_factory=dict)
    discarded: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """Candidates that were read to the end of their race and not ruled out, the best value first."""
        names = [name for name, fate in self.fates.items() if fate.state == "left"]
        return tuple(sorted(names, key=lambda name: (name != self.leader, -self.fates[name].value, name)))

    @property
    def worths(self) -> list[float]:
        """What one unit of each metric adds to a candidate's value."""
        return [one.goal.sign * one.goal.weight / unit for one, unit in zip(self.measured, self.units, strict=True)]

    def behind(self, name: str) -> float:
        """Return the value of a candidate minus the leader's, on the items that both have read."""
        return sum(ahead(self.scores[name], self.scores[self.leader], self.worths))

    @property
    def finalists(self) -> tuple[str, ...]:
        """The leader, then the best of those left."""
        return self.left[: self.space.finalists]


@dataclass(frozen=True, slots=True)
class Tested:
    """Scores on the test split, and which opening of it this was."""

    opening: int
    scores: Mapping[str, Sequence[Vector]]
    parents: Mapping[str, Sequence[Vector]]


def ahead(scores: Sequence[Vector], against: Sequence[Vector], worths: Sequence[float]) -> list[float]:
    """Return worth times the paired difference of means of each objective, on the items that both have read."""
    found = []
    for own, other, worth in zip(scores, against, worths, strict=True):
        n = min(len(own), len(other))
        found.append(worth * float(np.mean(own[:n] - other[:n])))
    return found


def result_of(found: Found, tested: Tested | None) -> dict[str, Any]:
    """Return the content of result.json; docs/search.md names its keys."""
    better = [one.goal.sign for one in found.measured]
    means = {name: found.fates[name].means for name in found.left}
    standing = front(means, better)
    pairs = len(found.points) * sum(len(one.dev) for one in found.measured)
    return {
        "space": found.space.name,
        "space_digest": found.space.digest,
        "seed": found.space.seed,
        "goal": found.space.goal,
        "confidence": found.space.confidence,
        "objectives": [_objective(one, unit) for one, unit in zip(found.measured, found.units, strict=True)],
        "items_read": found.items_read,
        "items_read_of_parents": found.items_of_parents,
        "share_of_items_read": found.items_read / pairs,
        "candidates": [_candidate(found, name) for name in found.points],
        "front": [_measured_on(found, name) for name in standing],
        "recommended": {
            "candidate": found.leader[:SHORT],
            "digest": found.leader,
            "point": dict(found.points[found.leader]),
            "reason": reason(found, standing),
        },
        "sensitivity": sensitivity(found),
        "test": None if tested is None else _tested(found, tested),
    }


def reason(found: Found, standing: Sequence[str]) -> str:
    """Say why the leader is recommended, what was not shown, and how flat the optimum is."""
    count = dict.fromkeys(("left", "ruled out", "set aside"), 0)
    for fate in found.fates.values():
        count[fate.state] += 1
    names = " + ".join(
        f"{one.goal.sign * one.goal.weight:g} {one.goal.name} / {unit:.4g}"
        for one, unit in zip(found.measured, found.units, strict=True)
    )
    words = [
        f"{describe(found.points[found.leader])} has the highest value ({names}) of the candidates left.",
        f"Of {len(found.fates)} candidates {count['ruled out']} were ruled out at a confidence of "
        f"{found.space.confidence:g} over all comparisons.",
    ]
    if count["set aside"]:
        words.append(f"{count['set aside']} were set aside for want of items, without a claim.")
    others = count["left"] - 1
    if others:
        words.append(f"{others} more could not be told apart from it on the items read.")
    if found.leader not in standing:
        words.append("It is not on the front of the means.")
    if found.discarded:
        most = found.space.screen.most if found.space.screen else 0
        words.append(
            f"{len(found.discarded)} more were discarded unread, farther from both parents than {most:g} times the "
            "distance between these (drift)."
        )
    if found.failed:
        words.append(f"{len(found.failed)} gave outputs that are not numbers.")
    for row in sensitivity(found):
        if row["flat"] is not None:
            shape = "flat" if row["flat"] else "narrow"
            words.append(
                f"In {row['dimension']} the optimum is {shape}: {row['low']:.4g} to {row['high']:.4g} is left."
            )
    return " ".join(words)


def sensitivity(found: Found) -> list[dict[str, Any]]:
    """Return for each dimension what of its range is left, and how every candidate along it stands.

    flat: whether what is left spans at least a quarter of what was tried; null where nothing was tried but one value,
    or candidates were set aside without a claim.
    """
    rows: list[dict[str, Any]] = []
    claimed = all(fate.state != "set aside" for fate in found.fates.values())
    for dimension in dimensions(found.space):
        name = dimension.name
        tried = {digest: point[name] for digest, point in found.points.items() if name in point}
        points = [
            {"at": at, "against_leader": found.behind(digest), "state": found.fates[digest].state}
            for digest, at in sorted(tried.items(), key=lambda item: str(item[1]))
            if digest in found.fates
        ]
        row: dict[str, Any] = {"dimension": name, "low": None, "high": None, "share": None, "flat": None}
        numbers = [at for at in tried.values() if isinstance(at, int | float) and not isinstance(at, bool)]
        left = [tried[digest] for digest in found.left if digest in tried]
        if len(numbers) == len(tried) and left and max(numbers) > min(numbers):
            share = (max(left) - min(left)) / (max(numbers) - min(numbers))
            row |= {"low": min(left), "high": max(left), "share": share, "flat": share >= FLAT if claimed else None}
            points.sort(key=lambda one: one["at"])
        rows.append(row | {"points": points})
    return rows


def written_recipe(found: Found, recipe: str) -> str:
    """Return the recommended recipe with its reason as a comment at its top."""
    import textwrap

    lines = textwrap.wrap(reason(found, front({found.leader: found.fates[found.leader].means}, _signs(found))), 116)
    return "".join(f"# {line}\n" for line in lines) + recipe


def _signs(found: Found) -> list[int]:
    return [one.goal.sign for one in found.measured]


def _objective(one: Measured, unit: float) -> dict[str, Any]:
    goal = one.goal
    return {
        "name": goal.name,
        "axis": goal.axis or one.task.axis,
        "direction": "more" if goal.sign > 0 else "less",
        "unit": unit,
        "weight": goal.weight,
        "dev_items": len(one.dev),
        "dev_clusters": len(set(one.dev_clusters)),
        "test_items": len(one.test),
        "test_items_left_out": one.left_out,
    }


def _candidate(found: Found, name: str) -> dict[str, Any]:
    base: dict[str, Any] = {"candidate": name[:SHORT], "digest": name, "point": dict(found.points[name])}
    if name in found.distances:
        base["distance"] = found.distances[name]
    fate = found.fates.get(name)
    if fate is None and name in found.discarded:
        return base | {"state": "discarded"}
    if fate is None:
        return base | {"state": "failed"}
    return base | {
        "state": fate.state,
        "look": fate.look,
        "read": list(fate.read),
        "means": list(fate.means),
        "against_leader": found.behind(name),
        "by": fate.by[:SHORT],
    }


def _measured_on(found: Found, name: str) -> dict[str, Any]:
    rows = []
    for one, scores in zip(found.measured, found.scores[name], strict=True):
        rows.append(_mean(one, scores, one.dev_clusters[: len(scores)], found.space.seed))
    return {
        "candidate": name[:SHORT],
        "method": found.points[name][METHOD],
        "point": dict(found.points[name]),
        "against_leader": found.behind(name),
        "objectives": rows,
    }


def _tested(found: Found, tested: Tested) -> dict[str, Any]:
    seed = found.space.seed

    def means(scores: Sequence[Vector]) -> list[dict[str, Any]]:
        return [_mean(o, s, o.test_clusters, seed) for o, s in zip(found.measured, scores, strict=True)]

    against = []
    for role, scores in tested.parents.items():
        for one, own, theirs in zip(found.measured, tested.scores[found.leader], scores, strict=True):
            binary = is_binary(own) and is_binary(theirs)
            bounds = value_range(one.goal.measure, np.concatenate([own, theirs]))
            estimate = estimate_difference(own, theirs, one.test_clusters, binary=binary, bounds=bounds, seed=seed)
            interval = _interval(estimate.interval)
            against.append({"parent": role, "objective": one.goal.name, "difference": estimate.value, **interval})
    return {
        "opening": tested.opening,
        "finalists": [{"candidate": name[:SHORT], "objectives": means(s)} for name, s in tested.scores.items()],
        "parents": {role: means(scores) for role, scores in tested.parents.items()},
        "recommended_against_parents": against,
    }


def _mean(one: Measured, scores: Vector, clusters: Sequence[str], seed: int) -> dict[str, Any]:
    values = np.asarray(scores)
    bounds = value_range(one.goal.measure, values)
    found = estimate_mean(values, clusters, binary=is_binary(scores), bounds=bounds, seed=seed)
    return {
        "objective": one.goal.name,
        "mean": found.value,
        "n": found.n,
        "clusters": found.clusters,
        **_interval(found.interval),
    }


def _interval(interval: Any) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {"low": number(interval.low), "high": number(interval.high), "method": interval.method}
