"""Compares the search with CMA-ES where several numbers vary, on surfaces measured on real models; prints one table.

    python benchmarks/search_layers.py record SPACE.yaml --out DIR [--points 36]     reads a design of points; resumable
    python benchmarks/search_layers.py replay DIR/design.npz [--runs 200] [--seed 0] [--candidates 24 48] [--rules …]

`record` reads real merges at the first points of a Sobol sequence, at 0.5 everywhere and at 1 everywhere, on all
development items. `replay` fits each item's score by a quadratic function of the numbers that vary (least squares) and
lets rules search that surface; each run draws the items' order and the sampler's seed:

    cma-es      optuna's CmaEsSampler (package cmaes) from the middle of the box, its default step; all items of every
                candidate, as mergekit-evolve reads a whole task for every genome
    tpe         optuna's TPE, all items of every candidate
    search      `suture search`: a Gaussian process in batches of 4, raced, with a budget of a share of the items that
                cma-es reads; "of 1/2, 1/3": half as many candidates with a third of these items (a process takes some
                tenths of a second a candidate: 200 runs of 48 take hours)
    search-tpe  the same by TPE in batches of 8
    constant    0.5 everywhere, no items
    random      the best of as many random points, all items of every candidate

Where the file holds drifts (`record` measures them), the screen's table of `search.py` follows, on the merges that
were measured.

Regret is the surface's highest value in the box minus that of the choice, on all items, in the space's units. The
figures hold as far as the surface does: the table's head says how well it predicts a point that it was not fitted to.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search import drifts, screened
from search import load as read_table

from suture.search.candidates import BATCH
from suture.search.race import Objective, Rules, race

Scores = NDArray[np.float64]
TPE_BATCH = 8


def features(places: Scores) -> Scores:
    """All products of at most two coordinates, one row a place."""
    columns = [np.ones(len(places)), *places.T]
    columns += [places[:, i] * places[:, j] for i, j in combinations_with_replacement(range(places.shape[1]), 2)]
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Surface:
    """coefficients: one array [features, items] an objective; ends: low and high of each dimension."""

    coefficients: tuple[Scores, ...]
    clusters: tuple[tuple[str, ...], ...]
    worths: tuple[float, ...]
    ends: Scores

    @property
    def items(self) -> int:
        """Items of all objectives."""
        return sum(c.shape[1] for c in self.coefficients)

    def values(self, places: Scores) -> Scores:
        """The value of each place on all items."""
        rows = features(places)
        parts = zip(self.worths, self.coefficients, strict=True)
        return np.asarray(sum(w * rows @ c.mean(axis=1) for w, c in parts))

    def shuffled(self, rng: np.random.Generator) -> Surface:
        """The same in another order of items."""
        orders = [rng.permutation(c.shape[1]) for c in self.coefficients]
        moved = tuple(c[:, o] for c, o in zip(self.coefficients, orders, strict=True))
        named = tuple(tuple(c[i] for i in o) for c, o in zip(self.clusters, orders, strict=True))
        return Surface(moved, named, self.worths, self.ends)

    def best(self) -> float:
        """The highest value in the box, by ascent from the best of many places."""
        from scipy.optimize import minimize

        rng = np.random.default_rng(0)
        starts = self.ends[:, 0] + rng.random((20_000, len(self.ends))) * (self.ends[:, 1] - self.ends[:, 0])
        tops = starts[np.argsort(-self.values(starts))[:10]]
        found = [minimize(lambda x: -float(self.values(x[None])[0]), top, bounds=self.ends) for top in tops]
        return max(-float(one.fun) for one in found)


def load(file: Path) -> tuple[Surface, Scores, Scores]:
    """Return the surface of a recorded design, the measured value of each place, and the value predicted without it."""
    with np.load(file, allow_pickle=False) as held:
        count = len(held["worths"])
        scores = [held[f"scores_{k}"] for k in range(count)]
        clusters = tuple(tuple(map(str, held[f"clusters_{k}"])) for k in range(count))
        places, ends, worths = held["places"], held["ends"], tuple(map(float, held["worths"]))
    rows = features(places)
    if len(rows) <= rows.shape[1]:
        raise SystemExit(f"A surface of {rows.shape[1]} coefficients needs more than {len(rows)} points.")
    fits = tuple(np.linalg.lstsq(rows, s, rcond=None)[0] for s in scores)
    measured = np.asarray(sum(w * s.mean(axis=1) for w, s in zip(worths, scores, strict=True)))
    hat = np.diag(rows @ np.linalg.pinv(rows))
    fitted = rows @ np.linalg.lstsq(rows, measured, rcond=None)[0]
    return Surface(fits, clusters, worths, ends), measured, measured - (measured - fitted) / (1 - hat)


def _study(kind: str, surface: Surface, seed: int) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if kind == "cma-es":
        middle = {f"x{k}": float(end.mean()) for k, end in enumerate(surface.ends)}
        sampler: Any = optuna.samplers.CmaEsSampler(x0=middle, seed=seed, n_startup_trials=1)
    elif kind == "random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    elif kind == "gp":
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=BATCH)
    else:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=TPE_BATCH)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.enqueue_trial({f"x{k}": float(end.mean()) for k, end in enumerate(surface.ends)})
    return study


def _place(trial: Any, surface: Surface) -> Scores:
    return np.array([trial.suggest_float(f"x{k}", *map(float, end)) for k, end in enumerate(surface.ends)])


def sampled(kind: str, surface: Surface, candidates: int, share: float, rng: np.random.Generator) -> tuple[float, int]:
    """All items of every candidate; return the value of the best one and the items read."""
    study = _study(kind, surface, int(rng.integers(2**31)))
    best = -np.inf
    for _ in range(candidates):
        trial = study.ask()
        value = float(surface.values(_place(trial, surface)[None])[0])
        study.tell(trial, value)
        best = max(best, value)
    return best, candidates * surface.items


def searched(
    kind: str, part: float, surface: Surface, count: int, share: float, rng: np.random.Generator
) -> tuple[float, int]:
    """`suture search` of `part` of the candidates, in batches, with `share` of the items that cma-es reads of all.

    Returns the value of the leader and the items read.
    """
    candidates, share = max(2, round(part * count)), share / part
    study = _study(kind, surface, int(rng.integers(2**31)))
    size = BATCH if kind == "gp" else TPE_BATCH
    mixed = surface.shuffled(rng)
    objectives = [
        Objective(str(k), clusters, worth)
        for k, (clusters, worth) in enumerate(zip(mixed.clusters, mixed.worths, strict=True))
    ]
    table: dict[str, list[Scores]] = {}
    places: dict[str, Scores] = {}
    read: dict[str, tuple[int, ...]] = {}
    left: list[str] = []
    reference, leader = "", ""
    batches = -(-candidates // size)
    for number in range(batches):
        trials = [study.ask() for _ in range(min(size, candidates - number * size))]
        for trial in trials:
            name = str(trial.number)
            places[name] = _place(trial, surface)
            table[name] = [(features(places[name][None]) @ c)[0] for c in mixed.coefficients]

        def oracle(names: Sequence[str], start: Sequence[int], end: Sequence[int]) -> list[list[Scores]]:
            return [[s[a:b] for s, a, b in zip(table[name], start, end, strict=True)] for name in names]

        spent = sum(map(sum, read.values()))
        budget = (int(share * candidates * surface.items) - spent) // (batches - number)
        rules = Rules(rivals=candidates, races=batches, budget=budget)
        outcome = race([*left, *(str(trial.number) for trial in trials)], objectives, oracle, rules, known=read)
        for name, fate in outcome.fates.items():
            read[name] = tuple(map(max, read.get(name, (0,) * len(objectives)), fate.read))
        leader, reference = outcome.leader, reference or outcome.leader
        for trial in trials:
            study.tell(trial, _ahead(table, read, str(trial.number), reference, mixed.worths))
        left = [name for name, fate in outcome.fates.items() if fate.state == "left"]
    return float(surface.values(places[leader][None])[0]), sum(map(sum, read.values()))


def _ahead(
    table: dict[str, list[Scores]], read: dict[str, tuple[int, ...]], name: str, other: str, worths: Sequence[float]
) -> float:
    shared = [min(a, b) for a, b in zip(read[name], read[other], strict=True)]
    parts = zip(worths, table[name], table[other], shared, strict=True)
    return float(sum(w * (own[:n] - base[:n]).mean() for w, own, base, n in parts))


def constant(surface: Surface, candidates: int, share: float, rng: np.random.Generator) -> tuple[float, int]:
    """0.5 everywhere."""
    return float(surface.values(np.full((1, len(surface.ends)), 0.5))[0]), 0


Rule = Callable[[Surface, int, float, np.random.Generator], tuple[float, int]]


def replay(file: Path, runs: int, seed: int, counts: Sequence[int], chosen: Sequence[str] = ()) -> None:
    """Print how well the surface predicts, then one line a rule and number of candidates."""
    surface, measured, predicted = load(file)
    off = measured - predicted
    explained = 1 - float((off**2).sum() / ((measured - measured.mean()) ** 2).sum())
    top = surface.best()
    items = " + ".join(str(c.shape[1]) for c in surface.coefficients)
    print(f"{len(measured)} places in {len(surface.ends)} dimensions x {items} items; measured values ", end="")
    print(f"{measured.min():.3f} to {measured.max():.3f} units, at 0.5 everywhere {measured[0]:.3f}, ", end="")
    print(f"at 1 everywhere {measured[1]:.3f}")
    print(f"the surface's highest value {top:.3f}; of places left out it explains {explained:.1%}, ", end="")
    print(f"off by {np.sqrt((off**2).mean()):.3f} units (root mean square)\n")
    rules: dict[str, tuple[Rule, float]] = {
        "cma-es": (partial(sampled, "cma-es"), 1.0),
        "tpe": (partial(sampled, "tpe"), 1.0),
        "random": (partial(sampled, "random"), 1.0),
        **{
            f"{name}{of}, {said}": (partial(searched, kind, part), share)
            for name, kind in (("search", "gp"), ("search-tpe", "tpe"))
            for of, part in (("", 1.0), (" of 1/2", 1 / 2), (" of 1/3", 1 / 3))
            for said, share in (("1/3", 1 / 3), ("all", 1.0))
            if share < 1 or not of
        },
        "constant 0.5": (constant, 0.0),
    }
    rules = {name: rule for name, rule in rules.items() if not chosen or name in chosen}
    print(f"{'rule':<23} {'candidates':>10} {'items':>8} {'mean regret':>12} {'95 % interval':>18} {'90 %':>8}")
    for count in counts:
        for name, (rule, share) in rules.items():
            found = [rule(surface, count, share, np.random.default_rng([seed, run])) for run in range(runs)]
            lost, read = top - np.array([value for value, _ in found]), np.mean([n for _, n in found])
            half = 1.96 * lost.std(ddof=1) / np.sqrt(runs)
            low, high = lost.mean() - half, lost.mean() + half
            interval = f"[{low:.3f}, {high:.3f}]"
            print(f"{name:<23} {count:>10} {read:>8.0f} {lost.mean():>12.3f} {interval:>18} ", end="")
            print(f"{np.quantile(lost, 0.9):>8.3f}", flush=True)
    table = read_table(file)
    if table.drifts and not chosen:
        print("\nthe measured merges, raced with a third of their items, without and with the screen:", end="")
        screened(table, runs, seed, 1 / 3)


def record(space: Path, out: Path, count: int) -> Path:
    """Read a Sobol design of a continuous space on all development items; return the file of the table."""
    from scipy.stats import qmc

    from suture.search.candidates import METHOD, digest_of, dimensions, recipe_of
    from suture.search.probe import Kept, Probe
    from suture.search.run import weights
    from suture.search.space import load_space
    from suture.search.splits import measured

    asked = load_space(space)
    axes = dimensions(asked)
    ends = np.array([[axis.low, axis.high] for axis in axes])
    drawn = qmc.Sobol(len(axes), seed=asked.seed).random(64)[:count]
    places = ends[:, 0] + drawn * (ends[:, 1] - ends[:, 0])
    places = np.vstack([np.full(len(axes), 0.5), np.full(len(axes), 1.0), places]).round(6)
    points = [
        {METHOD: asked.methods[0], **{a.name: float(x) for a, x in zip(axes, row, strict=True)}} for row in places
    ]
    parts, parents = measured(asked), weights(asked)
    recipes = {digest_of(recipe, parents): recipe for recipe in (recipe_of(asked, point) for point in points)}
    probe = Probe(Kept(out / "candidates"))
    found = probe.scores(recipes, [(one, one.dev) for one in parts], "design")
    arrays = {f"scores_{k}": np.stack([found[digest][k] for digest in recipes]) for k in range(len(parts))}
    arrays |= {f"clusters_{k}": np.array(one.dev_clusters) for k, one in enumerate(parts)}
    arrays |= drifts(asked, probe, parents, recipes)
    worths = [one.goal.sign * one.goal.weight / (one.goal.unit or 1.0) for one in parts]
    np.savez(out / "design.npz", places=places, ends=ends, worths=np.array(worths), **arrays)
    (out / "design.npz").chmod(0o600)
    return out / "design.npz"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("record")
    one.add_argument("space", type=Path)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--points", type=int, default=36)
    two = verbs.add_parser("replay")
    two.add_argument("design", type=Path)
    two.add_argument("--runs", type=int, default=200)
    two.add_argument("--seed", type=int, default=0)
    two.add_argument("--candidates", type=int, nargs="+", default=[24, 48])
    two.add_argument("--rules", nargs="+", default=[], help="names of the table's first column; all by default")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of optuna, about arguments that are experimental
    if asked.verb == "replay":
        replay(asked.design, asked.runs, asked.seed, asked.candidates, asked.rules)
        return
    print(f"wrote {record(asked.space, asked.out, asked.points)}")


if __name__ == "__main__":
    main()
