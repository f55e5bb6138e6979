"""Ratios with intervals: Fieller by hand and by coverage, the score interval by its own definition, the undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from suture.compare.ratios import fieller, score_ratio, share_ratio
from suture.compare.statistics import Z


def alone(n: int) -> list[str]:
    return [f"{i:04d}" for i in range(n)]


def test_fieller_bounds_are_the_ratios_at_which_the_t_test_turns() -> None:
    generator = np.random.default_rng(0)
    under = generator.normal(3.0, 1.0, size=25)
    over = 0.5 * under + generator.normal(0.4, 0.5, size=25)
    found = fieller(over, under, alone(25))
    for bound in (found.low, found.high):
        assert stats.ttest_1samp(over - bound * under, 0.0).pvalue == pytest.approx(0.05)
    assert found.low < over.mean() / under.mean() < found.high
    assert found.method == "Fieller by cluster"


def test_repeating_every_item_in_its_cluster_changes_no_bound() -> None:
    generator = np.random.default_rng(1)
    over, under = generator.normal(2, 1, size=(2, 30))
    repeated = [name for name in alone(30) for _ in range(4)]
    once, often = fieller(over, under, alone(30)), fieller(np.repeat(over, 4), np.repeat(under, 4), repeated)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_a_denominator_that_may_be_zero_is_said_to_be_unbounded() -> None:
    generator = np.random.default_rng(2)
    found = fieller(generator.normal(1, 1, 20), generator.normal(0, 1, 20), alone(20))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert "unbounded" in found.method
    assert fieller(np.ones(4), np.ones(4), ["a"] * 4).method == "one cluster"


def test_fieller_covers_the_ratio_in_clusters() -> None:
    """40 clusters of 3 items whose shared part is as large as their own; true ratio 2 / 4."""
    generator = np.random.default_rng(3)
    names = [name for name in alone(40) for _ in range(3)]
    hits = 0
    for _ in range(1000):
        shared = np.repeat(generator.normal(size=(2, 40)), 3, axis=1) + generator.normal(size=(2, 120))
        found = fieller(2 + shared[0], 4 + shared[1], names)
        hits += found.low <= 0.5 <= found.high
    assert 0.93 <= hits / 1000 <= 0.97


@pytest.mark.parametrize(
    ("both", "lost", "gained", "n"), [(20, 5, 2, 32), (9, 1, 6, 44), (10, 0, 0, 32), (3, 7, 1, 20)]
)
def test_score_bounds_lie_where_the_score_statistic_reaches_its_quantile(
    both: int, lost: int, gained: int, n: int
) -> None:
    """The nuisance shares are found by maximising the likelihood on a grid, not by the closed form."""
    interval = score_ratio(both, lost, gained, n)
    for ratio in (interval.low, interval.high):
        parent = np.linspace(0, min(1.0, 1 / ratio), 1201)[1:-1]  # p(both) + p(lost); the model's is ratio times it
        part = np.linspace(0, 1, 1201)[1:-1]
        p, share = np.meshgrid(parent, part)
        together = p * min(1.0, ratio) * share
        q_lost, q_gained = p - together, ratio * p - together
        neither = 1 - together - q_lost - q_gained
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = [k * np.log(q) for k, q in ((both, together), (lost, q_lost), (gained, q_gained)) if k]
            likelihood = sum(terms) + (n - both - lost - gained) * np.log(neither)
        likelihood[~np.isfinite(likelihood) | (neither <= 0)] = -np.inf
        at = np.unravel_index(np.argmax(likelihood), likelihood.shape)
        variance = n * (ratio * (1 + ratio) * p[at] - 2 * ratio * together[at])
        statistic = (both + gained - ratio * (both + lost)) / math.sqrt(variance)
        assert abs(statistic) == pytest.approx(Z, rel=0.01)


def test_no_flip_leaves_an_interval_and_not_a_point() -> None:
    found = score_ratio(10, 0, 0, 32)
    assert found.low == pytest.approx(10 / (10 + Z**2))  # (1 - r) 10 = Z^2 r
    assert found.high == pytest.approx(1 + Z**2 / 10)


def test_a_parent_with_nothing_right_has_no_ratio() -> None:
    assert "undefined" in share_ratio(np.ones(9), np.zeros(9), alone(9)).method
    assert score_ratio(0, 5, 0, 20).low == 0.0


def test_clusters_widen_a_share_ratio() -> None:
    model, against = np.array([1.0, 0.0, 1.0, 1.0] * 6), np.array([1.0, 1.0, 1.0, 0.0] * 6)
    once = share_ratio(model, against, alone(24))
    repeated = [name for name in alone(24) for _ in range(3)]
    often = share_ratio(np.repeat(model, 3), np.repeat(against, 3), repeated)
    assert (often.low, often.high) == pytest.approx((once.low, once.high), rel=0.02)
