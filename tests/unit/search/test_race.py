"""Races: numbers by hand, few items where the winner is clear, the best ruled out no more often than stated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from suture.compare.statistics import cluster_error
from suture.errors import UsageError
from suture.search.race import Objective, Rules, look_sizes, paired_bounds, race

Table = np.ndarray


def objective(items: int, *, name: str = "m", worth: float = 1.0, per_cluster: int = 1) -> Objective:
    return Objective(name, tuple(f"{name}{k // per_cluster}" for k in range(items)), worth)


def run(tables: Sequence[Table], rules: Rules, *, worths: Sequence[float] = (), per_cluster: int = 1):  # type: ignore[no-untyped-def]
    """Race the rows of [candidates, items] tables, one for each objective; count what is read."""
    names = [f"c{i}" for i in range(len(tables[0]))]
    worths = worths or [1.0] * len(tables)
    objectives = [
        objective(t.shape[1], name=f"m{k}", worth=w, per_cluster=per_cluster)
        for k, (t, w) in enumerate(zip(tables, worths, strict=True))
    ]
    asked: list[tuple[str, int, int]] = []

    def oracle(wanted: Sequence[str], start: Sequence[int], end: Sequence[int]) -> list[list[Table]]:
        for k in range(len(tables)):
            asked.extend((name, k, item) for name in wanted for item in range(start[k], end[k]))
        return [[table[int(name[1:]), a:b] for table, a, b in zip(tables, start, end, strict=True)] for name in wanted]

    outcome = race(names, objectives, oracle, rules)
    assert len(asked) == len(set(asked)) == outcome.items_read
    return outcome


def test_bounds_by_hand() -> None:
    scores = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 2.0]])
    bounds = paired_bounds([(scores, np.array(list("abcd")))], 2.0)
    error = math.sqrt(4 / 3 * (1 + 0 + 1 + 0)) / 4  # residuals -1, 0, 1, 0
    assert bounds[0, 1] == pytest.approx(2 - 2 * error)
    assert bounds[1, 0] == pytest.approx(-2 - 2 * error)
    assert bounds[0, 0] == 0


def test_errors_are_those_of_the_comparison_by_cluster() -> None:
    rng = np.random.default_rng(0)
    scores, clusters = rng.normal(size=(2, 30)), np.array([f"e{k // 3}" for k in range(30)])
    estimate = scores[1].mean() - scores[0].mean()
    error = cluster_error(scores[1] - scores[0], clusters.tolist())
    assert paired_bounds([(scores, clusters)], 1.5)[0, 1] == pytest.approx(estimate - 1.5 * error)


def test_objectives_that_share_clusters_are_not_taken_as_independent() -> None:
    rng = np.random.default_rng(1)
    scores, clusters = rng.normal(size=(2, 40)), np.array([f"e{k}" for k in range(40)])
    twice = paired_bounds([(scores, clusters), (scores, clusters)], 1.0)
    assert twice == pytest.approx(2 * paired_bounds([(scores, clusters)], 1.0))


def test_a_handful_of_flips_in_one_direction_is_no_proof() -> None:
    few, many = np.zeros((2, 4)), np.zeros((2, 60))
    few[1] = many[1] = 1.0
    assert run([few], Rules(confidence=0.99)).fates["c0"].state == "left"
    assert run([many], Rules(confidence=0.99)).fates["c0"].state == "ruled out"


def test_looks_double_up_to_all_items() -> None:
    assert look_sizes([objective(160), objective(16)], 5) == [(10, 4), (20, 4), (40, 4), (80, 8), (160, 16)]
    assert look_sizes([objective(3)], 5) == [(3,)]


def test_a_clear_winner_takes_few_items() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(size=(21, 640)) * 0.1
    table[13] += 1.0
    outcome = run([table], Rules())
    assert outcome.leader == "c13"
    assert outcome.items_read <= table.size / 8
    assert {fate.state for name, fate in outcome.fates.items() if name != "c13"} == {"ruled out"}
    assert all(fate.by == "c13" for name, fate in outcome.fates.items() if name != "c13")


def test_equal_candidates_are_all_left_and_the_first_leads() -> None:
    table = np.tile(np.random.default_rng(3).normal(size=40), (4, 1))
    outcome = run([table], Rules())
    assert outcome.leader == "c0"
    assert outcome.items_read == table.size
    assert {fate.state for fate in outcome.fates.values()} == {"left"}


def test_less_is_better_with_a_negative_worth() -> None:
    table = np.random.default_rng(4).normal(size=(3, 80)) * 0.01
    table[1] += 1.0
    assert run([table], Rules(), worths=[1.0]).leader == "c1"
    assert run([table], Rules(), worths=[-1.0]).fates["c1"].state == "ruled out"


def test_a_front_loses_only_what_is_worse_in_everything() -> None:
    rng = np.random.default_rng(5)
    means = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6], [-0.5, -0.5]])
    tables = [means[:, k, None] + 0.05 * rng.normal(size=(4, 64)) for k in range(2)]
    states = {name: fate.state for name, fate in run(tables, Rules(goal="front")).fates.items()}
    assert states == {"c0": "left", "c1": "left", "c2": "left", "c3": "ruled out"}


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_budget_is_kept_and_who_is_set_aside_says_so(share: float) -> None:
    table = np.random.default_rng(6).normal(size=(21, 320))
    budget = int(share * table.size)
    outcome = run([table], Rules(budget=budget))
    assert outcome.items_read <= budget
    assert any(fate.state == "set aside" for fate in outcome.fates.values())
    assert outcome.fates[outcome.leader].state == "left"


def test_a_budget_below_a_first_look_is_refused() -> None:
    with pytest.raises(UsageError, match="first look"):
        run([np.zeros((21, 320))], Rules(budget=80))


@pytest.mark.parametrize("rules", [{"confidence": 1.0}, {"confidence": 0.0}, {"looks": 0}, {"races": 0}])
def test_rules_out_of_range_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Rules(**rules)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["normal", "binary", "skewed"])
def test_the_best_is_ruled_out_no_more_often_than_stated(kind: str) -> None:
    """Nearly equal candidates, the hardest case: 300 races at 80 % confidence; the bound is 20 % plus three errors."""
    wrong, races = 0, 300
    for seed in range(races):
        rng = np.random.default_rng(seed)
        shared = rng.normal(size=(1, 96))
        noise = rng.normal(size=(6, 96)) if kind != "skewed" else rng.exponential(size=(6, 96)) - 1.0
        table = shared + noise
        if kind == "binary":
            table = (table > 0).astype(float)
        table[0] += 1e-9  # the best by definition
        wrong += run([table], Rules(confidence=0.8)).fates["c0"].state == "ruled out"
    assert wrong / races <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / races)


def test_a_front_is_kept_whole_as_often_as_stated() -> None:
    """Four candidates that are all on the front by a hair: none may be ruled out in more than a fifth of the races."""
    wrong, races = 0, 200
    for seed in range(races):
        rng = np.random.default_rng(seed)
        edge = 1e-9 * np.arange(4)
        tables = [rng.normal(size=(4, 64)) + edge[:, None], rng.normal(size=(4, 64)) - edge[:, None]]
        fates = run(tables, Rules(confidence=0.8, goal="front")).fates.values()
        wrong += any(fate.state == "ruled out" for fate in fates)
    assert wrong / races <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / races)


def test_clusters_of_one_topic_do_not_make_evidence() -> None:
    """With ten items a cluster that all say the same, taking items as independent would rule out the best often."""
    wrong, races = 0, 200
    for seed in range(races):
        table = np.repeat(np.random.default_rng(seed).normal(size=(5, 24)), 10, axis=1)
        table[0] += 1e-9
        wrong += run([table], Rules(confidence=0.8), per_cluster=10).fates["c0"].state == "ruled out"
    assert wrong / races <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / races)


def test_items_that_were_read_before_cost_nothing() -> None:
    table = np.random.default_rng(7).normal(size=(4, 80)) * 1e-3 + np.arange(4)[:, None]
    objectives = [objective(80)]

    def oracle(wanted: Sequence[str], start: Sequence[int], end: Sequence[int]) -> list[list[Table]]:
        return [[table[int(name[1:]), start[0] : end[0]]] for name in wanted]

    names = [f"c{i}" for i in range(4)]
    first = race(names, objectives, oracle, Rules(budget=200))
    again = race(names, objectives, oracle, Rules(budget=0), known={name: f.read for name, f in first.fates.items()})
    assert (again.leader, again.items_read) == (first.leader, 0)


def test_a_search_of_several_races_asks_for_more_evidence() -> None:
    """At 16 items a difference of three errors is past the bound of one pair and one look, and not of a long search."""
    rng = np.random.default_rng(8)
    noise = rng.normal(size=16)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    table = np.stack([np.zeros(16), noise + 3 / math.sqrt(16)])
    assert run([table], Rules(looks=1)).fates["c0"].state == "ruled out"
    assert run([table], Rules(looks=1, races=20)).fates["c0"].state == "left"
    assert run([table], Rules(looks=1, rivals=40)).fates["c0"].state == "left"
