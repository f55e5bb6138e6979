"""Replays searches of a grid on an item table: what is lost for reading a fifth of the items; prints one table.

    python benchmarks/search.py synthetic [--runs 200] [--seed 0] [--share 0.2]
    python benchmarks/search.py record SPACE.yaml --out DIR      reads the whole grid once: grid x items, hours on a CPU
    python benchmarks/search.py replay DIR/table.npz [--runs 200] [--seed 0] [--share 0.2] [--weights 1 2]

An item table holds, for each objective, the score of every candidate on every development item, and the cluster of each
item. A replay draws another order of the items for each seed and lets each rule choose a candidate:

    full grid        reads everything: its choice is what the others are measured by
    race             `suture.search.race` with a budget of the share
    halving          sequential halving (Karnin, Koren and Somekh 2013) with the same items
    uniform          the same items for every candidate
    constant 0.5     the middle of the grid, no items
    random           any candidate, no items

Regret is the value of the full grid's choice minus that of the choice, both on all items, in units of the value: an
objective's unit in a recorded table is the space's, by default the difference between the ends of the grid; `--weights`
replaces the space's weights. Intervals of mean regrets are normal ones over the runs. The line above the table says how
much worse constant 0.5 is than the full grid's choice, paired by item, with an interval by cluster; where that interval
reaches 0, search was not needed, and the output says so. The choice is the best of many on these very items, so its
lead is overstated: the interval is widened as `suture.search.race` does for that many rivals.

Where a table holds drifts (`record` measures them), a second table says what the screen of `suture search` does to the
race: what it discards, how far the best of that lies behind the best of all, how often it discards one of the race's
three finalists, and the regret that it adds; the turns that drift is measured on are drawn with replacement.

The synthetic table has 21 coefficients and two objectives with opposite slopes, quadratic around optima at 0.2 and 0.8
and five times as strong in the first, each in its own unit; items vary more between themselves than candidates do, and
candidates that are near in coefficient are alike on each item. It shows the rules at work; it says nothing about any
model.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from suture.search.probe import Kept, Probe
from suture.search.race import Objective, Outcome, Rules, paired_bounds, race
from suture.search.screen import PARENTS, Screen, distance
from suture.search.space import Screening, Space

Scores = NDArray[np.float64]
GRID = 21
FINALISTS = 3
SCREENS = (0.1, 0.25, 0.5, 1.0, 1.5)  # how far a candidate may lie, in drifts between the parents
TURNS = Screening().texts


@dataclass(frozen=True)
class Table:
    """scores: one array [candidates, items] an objective; clusters: the cluster of each item; worths: of one unit.

    drifts: by parent, [candidates, turns]; between: by parent, of each turn; both empty where they were not recorded.
    """

    names: tuple[str, ...]
    scores: tuple[Scores, ...]
    clusters: tuple[tuple[str, ...], ...]
    worths: tuple[float, ...]
    drifts: Mapping[str, Scores] = field(default_factory=dict)
    between: Mapping[str, Scores] = field(default_factory=dict)

    @property
    def values(self) -> Scores:
        """The value of each candidate on all items."""
        return np.asarray(sum(w * s.mean(axis=1) for w, s in zip(self.worths, self.scores, strict=True)))

    @property
    def pairs(self) -> int:
        """Candidates times items of all objectives."""
        return sum(s.size for s in self.scores)

    def shuffled(self, rng: np.random.Generator) -> Table:
        """The same in another order of items."""
        orders = [rng.permutation(s.shape[1]) for s in self.scores]
        scores = tuple(s[:, o] for s, o in zip(self.scores, orders, strict=True))
        clusters = tuple(tuple(c[i] for i in o) for c, o in zip(self.clusters, orders, strict=True))
        return replace(self, scores=scores, clusters=clusters)

    def of(self, some: Sequence[int]) -> Table:
        """The same of some candidates."""
        rows = list(some)
        drifts = {role: drift[rows] for role, drift in self.drifts.items()}
        names = tuple(self.names[i] for i in rows)
        return replace(self, names=names, scores=tuple(s[rows] for s in self.scores), drifts=drifts)

    def distances(self, turns: Sequence[int] | slice = slice(None)) -> list[float]:
        """How far each candidate lies on some turns, as the screen measures it."""
        between = {role: self.between[role][turns] for role in PARENTS}
        drifts = ({role: self.drifts[role][i][turns] for role in PARENTS} for i in range(len(self.names)))
        return [distance(drift, between) for drift in drifts]

    def outliers(self, most: float, turns: Sequence[int] | slice = slice(None)) -> list[int]:
        """What the screen discards on some turns."""
        found = self.distances(turns)
        far = [i for i, value in enumerate(found) if value > most]
        return far if len(far) < len(found) else []

    def first(self, n: Sequence[int], some: Sequence[int]) -> Scores:
        """The value of some candidates on the first items of each objective."""
        parts = zip(self.worths, self.scores, n, strict=True)
        return np.asarray(sum(w * s[list(some), :k].mean(axis=1) for w, s, k in parts))


Rule = Callable[[Table, int, np.random.Generator], tuple[int, int]]


def by_race(table: Table, budget: int, rng: np.random.Generator) -> tuple[int, int]:
    """The race's leader, and the items that it read."""
    outcome = raced(table, budget)
    return table.names.index(outcome.leader), outcome.items_read


def raced(table: Table, budget: int) -> Outcome:
    """The race of all candidates of a table."""
    parts = zip(table.clusters, table.worths, strict=True)
    objectives = [Objective(str(k), clusters, worth) for k, (clusters, worth) in enumerate(parts)]

    def oracle(names: Sequence[str], start: Sequence[int], end: Sequence[int]) -> list[list[Scores]]:
        rows = [table.names.index(name) for name in names]
        return [[s[i, a:b] for s, a, b in zip(table.scores, start, end, strict=True)] for i in rows]

    return race(table.names, objectives, oracle, Rules(budget=budget))


def by_halving(table: Table, budget: int, rng: np.random.Generator) -> tuple[int, int]:
    """Equal budgets for log2(K) rounds, the better half goes on; items of earlier rounds are kept."""
    left, before, spent = list(range(len(table.names))), 0.0, 0
    rounds = int(np.ceil(np.log2(len(left))))
    items = sum(s.shape[1] for s in table.scores)
    for _ in range(rounds):
        share = min(1.0, before + budget / rounds / len(left) / items)
        had, n = _counts(table, before), _counts(table, share)
        spent += (sum(n) - sum(had)) * len(left)
        values = table.first(n, left)
        left = [left[i] for i in np.argsort(-values, kind="stable")[: max(1, (len(left) + 1) // 2)]]
        before = share
    return left[0], spent


def by_uniform(table: Table, budget: int, rng: np.random.Generator) -> tuple[int, int]:
    """The best of all candidates on equally many items."""
    n = _counts(table, budget / table.pairs)
    return int(np.argmax(table.first(n, range(len(table.names))))), sum(n) * len(table.names)


RULES: dict[str, Rule] = {
    "race": by_race,
    "halving": by_halving,
    "uniform": by_uniform,
    "constant 0.5": lambda table, budget, rng: (len(table.names) // 2, 0),
    "random": lambda table, budget, rng: (int(rng.integers(len(table.names))), 0),
}


def synthetic(seed: int, *, items: int = 240) -> Table:
    """The table that the module's text describes."""
    rng = np.random.default_rng(seed)
    c = np.linspace(0, 1, GRID)
    scores, worths, clusters = [], [], []
    for k, (optimum, strength) in enumerate(((0.2, 2.0), (0.8, 0.4))):
        truth = -strength * (c - optimum) ** 2
        slopes, bends, own = rng.normal(size=(3, items))
        table = truth[:, None] + own + 0.5 * slopes * c[:, None] + 0.3 * bends * (c[:, None] - 0.5) ** 2
        table += 0.1 * rng.normal(size=table.shape)
        scores.append(table)
        worths.append(1.0)
        clusters.append(tuple(f"{k}-{i // 2}" for i in range(items)))
    return Table(tuple(f"{x:.2f}" for x in c), tuple(scores), tuple(clusters), tuple(worths))


def regrets(table: Table, rule: Rule, runs: int, seed: int, share: float) -> tuple[Scores, Scores]:
    """Regret and share of the items read, one for each run."""
    best = float(table.values.max())
    lost, read = [], []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        chosen, spent = rule(table.shuffled(rng), int(share * table.pairs), rng)
        lost.append(best - float(table.values[chosen]))
        read.append(spent / table.pairs)
    return np.array(lost), np.array(read)


def record(space: Path, out: Path) -> Path:
    """Read every candidate of a space's grid on every development item; resumable; return the table's file."""
    from suture.search.candidates import describe, digest_of, grid, recipe_of
    from suture.search.run import weights
    from suture.search.space import load_space
    from suture.search.splits import measured

    asked = load_space(space)
    points = grid(asked)
    if points is None:
        raise SystemExit("The space must be a grid of at most `candidates` points.")
    parts, parents = measured(asked), weights(asked)
    recipes = {digest_of(recipe, parents): recipe for recipe in (recipe_of(asked, point) for point in points)}
    probe = Probe(Kept(out / "candidates"))
    found = probe.scores(recipes, [(one, one.dev) for one in parts], "grid")
    scores = [np.stack([found[digest][k] for digest in recipes]) for k in range(len(parts))]
    worths = [
        one.goal.sign * one.goal.weight / (one.goal.unit or abs(float(s[-1].mean() - s[0].mean())))
        for one, s in zip(parts, scores, strict=True)
    ]
    file = out / "table.npz"
    arrays = {f"scores_{k}": s for k, s in enumerate(scores)}
    arrays["weights"] = np.array([one.goal.weight for one in parts])
    arrays |= {f"clusters_{k}": np.array(one.dev_clusters) for k, one in enumerate(parts)}
    arrays |= drifts(asked, probe, parents, recipes)
    np.savez(file, names=np.array([describe(point) for point in points]), worths=np.array(worths), **arrays)
    file.chmod(0o600)
    return file


def drifts(space: Space, probe: Probe, parents: Sequence[str], recipes: Mapping[str, str]) -> dict[str, Scores]:
    """Measure what the screen looks at: each candidate's drift from each parent on each turn, and the parents' own."""
    screen = Screen(space, probe, parents, texts=Screening().texts, new_tokens=Screening().new_tokens)
    found, between = screen.drifts(recipes), screen.between()
    held = {f"drift_{role}": np.stack([found[digest][role] for digest in recipes]) for role in PARENTS}
    return held | {f"between_{role}": between[role] for role in PARENTS}


def load(file: Path, weights: Sequence[float] | None = None) -> Table:
    """Read a table that `record` wrote, with other weights of its objectives where they are given."""
    with np.load(file, allow_pickle=False) as held:
        count = len(held["worths"])
        worths = held["worths"]
        if weights is not None:
            if len(weights) != count:
                raise SystemExit(f"--weights needs {count} numbers, one for each objective.")
            worths = worths / held["weights"] * np.asarray(weights)
        names = held["names"] if "names" in held else [np.array2string(row, precision=2) for row in held["places"]]
        drifted = "between_general" in held
        return Table(
            tuple(map(str, names)),
            tuple(held[f"scores_{k}"] for k in range(count)),
            tuple(tuple(map(str, held[f"clusters_{k}"])) for k in range(count)),
            tuple(map(float, worths)),
            {role: held[f"drift_{role}"] for role in PARENTS} if drifted else {},
            {role: held[f"between_{role}"] for role in PARENTS} if drifted else {},
        )


def lead(table: Table, best: int, middle: int) -> tuple[float, float]:
    """How far `best` is ahead of `middle` on all items, and its lower bound at 95 % over all rivals (Bonferroni)."""
    from scipy import stats

    rows = [middle, best]
    parts = [
        (worth * scores[rows], np.asarray(clusters))
        for worth, scores, clusters in zip(table.worths, table.scores, table.clusters, strict=True)
    ]
    fewest = min(len(set(clusters)) for clusters in table.clusters)
    bound = float(stats.t.isf(0.05 / (len(table.names) - 1), fewest - 1))
    return float(table.values[best] - table.values[middle]), float(paired_bounds(parts, bound)[0, 1])


def report(table: Table, runs: int, seed: int, share: float) -> None:
    """Print one line a rule."""
    best, middle = int(np.argmax(table.values)), len(table.names) // 2
    items = " + ".join(str(s.shape[1]) for s in table.scores)
    print(f"{len(table.names)} candidates x {items} items; {runs} orders, seed {seed}; the full grid chooses ", end="")
    print(f"{table.names[best]}; values span {np.ptp(table.values):.3f} units")
    ahead, low = lead(table, best, middle)
    print(f"its lead over {table.names[middle]}: {ahead:.3f} units, lower bound {low:.3f} (95 %, all rivals)\n")
    print(f"{'rule':<14} {'items read':>10} {'mean regret':>12} {'95 % interval':>18} ", end="")
    print(f"{'90 %':>8} {'largest':>8} {'same choice':>12}")
    for name, rule in RULES.items():
        lost, read = regrets(table, rule, runs, seed, share)
        half = 1.96 * lost.std(ddof=1) / np.sqrt(runs)
        interval = f"[{lost.mean() - half:.4f}, {lost.mean() + half:.4f}]"
        same = float((lost == 0).mean())
        spread = f"{np.quantile(lost, 0.9):>8.4f} {lost.max():>8.4f} {same:>12.0%}"
        print(f"{name:<14} {read.mean():>10.0%} {lost.mean():>12.4f} {interval:>18} {spread}")
    if table.drifts:
        screened(table, runs, seed, share)
    if low <= 0:
        print("\nConstant 0.5 is not measurably worse than the best: on this table search was not needed.")


def screened(table: Table, runs: int, seed: int, share: float) -> None:
    """Print what the screen discards, how often a finalist of the race without it, and what that costs the race."""
    from scipy import stats

    values, best, lie = table.values, float(table.values.max()), table.distances()
    apart = {role: float(table.between[role].mean()) for role in PARENTS}
    order = stats.spearmanr(lie, values).statistic
    nearest, at_best = f"{min(lie):.2f} to {max(lie):.2f}", lie[int(np.argmax(values))]
    print(f"\nparents' drift {apart['general']:.3f} and {apart['clinical']:.3f} nats a token; ", end="")
    print(f"candidates lie at {nearest} of it, the best at {at_best:.2f}; rank correlation with the value ", end="")
    print(f"{order:+.2f}; {table.drifts['general'].shape[1]} turns, drawn with replacement for each order")
    print(f"{'screen at':<10} {'on all turns':>12} {'discarded':>10} {'best of them':>13} {'best lost':>10} ", end="")
    print(f"{'a finalist lost':>16} {'added regret':>13} {'95 % interval':>20}")
    for most in SCREENS:
        far = table.outliers(most)
        gone, lost_best, lost_finalist, added = [], [], [], []
        for run in range(runs):
            rng = np.random.default_rng([seed, run])
            mixed, budget = table.shuffled(rng), int(share * table.pairs)
            turns = np.random.default_rng([seed, run, 1]).integers(len(table.between["general"]), size=TURNS)
            out = set(table.outliers(most, turns))
            left = [i for i in range(len(table.names)) if i not in out]
            plain, after = raced(mixed, budget), raced(mixed.of(left), budget)
            ranked = sorted(
                (name for name, fate in plain.fates.items() if fate.state == "left"),
                key=lambda name: (name != plain.leader, -plain.fates[name].value),
            )
            finalists = {table.names.index(name) for name in ranked[:FINALISTS]}
            gone.append(len(out))
            lost_best.append(int(np.argmax(values)) in out)
            lost_finalist.append(bool(finalists & out))
            added.append(values[table.names.index(plain.leader)] - values[table.names.index(after.leader)])
        cost, half = float(np.mean(added)), 1.96 * float(np.std(added, ddof=1)) / np.sqrt(runs)
        behind = f"{best - max(values[i] for i in far):.3f}" if far else "none"
        print(f"{most:<10g} {len(far):>12} {np.mean(gone):>10.1f} {behind:>13} {np.mean(lost_best):>10.1%} ", end="")
        print(f"{np.mean(lost_finalist):>16.1%} {cost:>13.4f} {f'[{cost - half:.4f}, {cost + half:.4f}]':>20}")


def _counts(table: Table, share: float) -> list[int]:
    return [max(1, min(s.shape[1], int(share * s.shape[1]))) if share > 0 else 0 for s in table.scores]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("synthetic", "replay"):
        one = verbs.add_parser(verb)
        if verb == "replay":
            one.add_argument("table", type=Path)
        one.add_argument("--runs", type=int, default=200)
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--share", type=float, default=0.2)
        one.add_argument("--weights", type=float, nargs="+", help="of the objectives, instead of the space's")
    recorded = verbs.add_parser("record")
    recorded.add_argument("space", type=Path)
    recorded.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.verb == "record":
        print(f"wrote {record(asked.space, asked.out)}")
        return
    table = synthetic(asked.seed) if asked.verb == "synthetic" else load(asked.table, asked.weights)
    report(table, asked.runs, asked.seed, asked.share)


if __name__ == "__main__":
    main()
