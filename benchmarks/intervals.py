"""Error rates and coverage of the paired statistics, simulated; prints one table.

    python benchmarks/intervals.py [--runs 2000] [--seed 0]

Coverage is that of the nominal 95 % intervals as `suture.compare.statistics` gives them; level is the share of runs
without a difference in which p <= 0.05. The unit tests assert the normal rows; the skewed and rare-event rows are what
they are and belong beside a claim made on such data.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator

from suture.compare.bounded import UNBOUNDED
from suture.compare.ratios import fieller, share_ratio
from suture.compare.statistics import (
    bootstrap_interval,
    estimate_difference,
    estimate_mean,
    mcnemar,
    permutation,
)

N = 50
Row = tuple[str, str, str]


def main() -> None:
    """Run every simulation and print what came out, with its Monte Carlo standard error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"{asked.runs} runs, seed {asked.seed}\n")
    print(f"{'what':<46} {'data':<46} {'share (standard error)':>22}")
    for what, data, value in (*coverage(asked.runs, asked.seed), *levels(asked.runs, asked.seed)):
        print(f"{what:<46} {data:<46} {value:>22}")


def coverage(runs: int, seed: int) -> Iterator[Row]:
    """Yield the coverage of each kind of interval on normal, skewed, rare and clustered data."""
    alone = names(N, 1)
    draws: dict[str, tuple[float, Callable[[Generator], np.ndarray]]] = {
        "normal": (0.0, lambda g: g.normal(size=N)),
        "exponential (skewness 2)": (1.0, lambda g: g.exponential(size=N)),
        "lognormal, sigma 1 (skewness 6)": (float(np.exp(0.5)), lambda g: g.lognormal(size=N)),
        "rare events, Poisson 0.05": (0.05, lambda g: g.poisson(0.05, size=N).astype(float)),
        "rare large losses, 5 % at -20, else N(0, 1)": (
            -1.0,
            lambda g: np.where(g.random(N) < 0.05, -20.0, g.normal(size=N)),
        ),
    }
    for name, (truth, draw) in draws.items():
        hits = covers(runs, seed, truth, lambda g, s, d=draw: _continuous(d(g), alone, s))
        yield "BCa interval of a mean", f"{name}, n = {N}", hits
    for groups in (5, 9):
        few = names(groups, 1)
        for name, (truth, draw) in _shares(groups).items():
            for what, bounds in (("Student t", UNBOUNDED), ("score", (0.0, 1.0))):
                make = lambda g, s, d=draw, b=bounds, f=few: estimate_mean(d(g), f, binary=False, bounds=b).interval  # noqa: E731
                yield f"{what} interval of a mean share", f"{name}, {groups} clusters", covers(runs, seed, truth, make)
    clusters = names(30, 5)
    hits = covers(runs, seed, 0.0, lambda g, s: bootstrap_interval(_clustered(g, 30, 5), clusters, seed=s))
    yield "BCa interval by cluster", "30 clusters of 5, half of the variance shared", hits
    for share in (0.5, 0.05, 0.01):
        hits = covers(
            runs, seed, share, lambda g, s, p=share: estimate_mean(_binary(g, p), alone, binary=True).interval
        )
        yield "Wilson interval of a share", f"share {share}, n = {N}", hits
    for lost, gained in ((0.15, 0.1), (0.04, 0.0)):
        hits = covers(runs, seed, gained - lost, lambda g, s, p=(lost, gained): _paired(g, *p)[0])
        yield "Tango interval of a paired difference", f"lost {lost}, gained {gained}, n = {N}", hits
        truth = (0.6 - lost + gained) / 0.6
        hits = covers(runs, seed, truth, lambda g, s, p=(lost, gained): _paired(g, *p)[1])
        yield "score interval of retention", f"lost {lost}, gained {gained}, n = {N}", hits
    hits = covers(runs, seed, 0.5, lambda g, s: fieller(1 + g.normal(size=N), 2 + g.normal(size=N), alone))
    yield "Fieller interval of a ratio", f"normal, 1 / 2, n = {N}", hits


def _shares(groups: int) -> dict[str, tuple[float, Callable[[Generator], np.ndarray]]]:
    return {
        "Beta(2, 2)": (0.5, lambda g: g.beta(2, 2, size=groups)),
        "Beta(1, 9)": (0.1, lambda g: g.beta(1, 9, size=groups)),
        "80 % zeros, else uniform": (
            0.1,
            lambda g: np.where(g.random(groups) < 0.2, g.random(groups), 0.0),
        ),
    }


def levels(runs: int, seed: int) -> Iterator[Row]:
    """Yield the rejection rates of the tests where there is no difference."""
    alone, clusters = names(N, 1), names(20, 5)
    kinds: dict[str, tuple[list[str], Callable[[Generator], np.ndarray]]] = {
        f"normal, n = {N}": (alone, lambda g: g.normal(size=N)),
        f"Student t, 2 degrees of freedom, n = {N}": (alone, lambda g: g.standard_t(2, size=N)),
        f"rare events, 5 % differ, n = {N}": (
            alone,
            lambda g: np.where(g.random(N) < 0.05, g.choice((-1.0, 1.0), size=N), 0.0),
        ),
        "20 clusters of 5, half of the variance shared": (clusters, lambda g: _clustered(g, 20, 5)),
    }
    for name, (groups, draw) in kinds.items():
        generator = np.random.default_rng(seed)
        rejected = [permutation(draw(generator), groups, seed=run, resamples=999) <= 0.05 for run in range(runs)]
        yield "paired permutation, level", name, written(rejected)
    for flips in (0.3, 0.1, 0.04):
        generator = np.random.default_rng(seed)
        counts = generator.binomial(N, flips, size=runs)
        lost = generator.binomial(counts, 0.5)
        rejected = [mcnemar(int(a), int(b)) <= 0.05 for a, b in zip(lost, counts - lost, strict=True)]
        yield "exact McNemar, level", f"{flips} of {N} items flip", written(rejected)


def covers(runs: int, seed: int, truth: float, make: Callable[[Generator, int], object]) -> str:
    """Return the share of intervals made that hold the truth, as text; an interval without bounds does not."""
    generator = np.random.default_rng(seed)
    found = [make(generator, run) for run in range(runs)]
    return written([bool(interval.low <= truth <= interval.high) for interval in found])  # type: ignore[attr-defined]


def written(hits: list[bool]) -> str:
    """Return the share of hits and its Monte Carlo standard error in per cent."""
    share = float(np.mean(hits))
    return f"{100 * share:.1f} % ({100 * (share * (1 - share) / len(hits)) ** 0.5:.1f})"


def names(groups: int, size: int) -> list[str]:
    """Return the cluster of each item: `groups` clusters of `size` items."""
    return [f"{index:04d}" for index in range(groups) for _ in range(size)]


def _continuous(values: np.ndarray, clusters: list[str], seed: int) -> object:
    return estimate_mean(values, clusters, binary=False, seed=seed).interval


def _clustered(generator: Generator, groups: int, size: int) -> np.ndarray:
    return np.repeat(generator.normal(size=groups), size) + generator.normal(size=groups * size)


def _binary(generator: Generator, share: float) -> np.ndarray:
    return (generator.random(N) < share).astype(float)


def _paired(generator: Generator, lost: float, gained: float) -> tuple[object, object]:
    """A parent right on 60 % of the items and a model that loses and gains the given shares of all items."""
    kind = generator.choice(4, size=N, p=(0.6 - lost, lost, gained, 0.4 - gained))
    against, model = (kind <= 1).astype(float), ((kind == 0) | (kind == 2)).astype(float)
    clusters = names(N, 1)
    return (
        estimate_difference(model, against, clusters, binary=True).interval,
        share_ratio(model, against, clusters),
    )


if __name__ == "__main__":
    main()
