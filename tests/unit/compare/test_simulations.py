"""What the tests and intervals promise, simulated: error rates, coverage, agreement with SciPy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from suture.compare.statistics import bootstrap_interval, mcnemar, permutation, wilson_interval


def alone(n: int) -> list[str]:
    return [f"{i:03d}" for i in range(n)]


def test_exact_mcnemar_is_scipys_binomial_and_statsmodels_exact_p() -> None:
    for lost in range(13):
        for gained in range(13):
            if lost + gained:
                expected = stats.binomtest(lost, lost + gained, 0.5).pvalue
                assert mcnemar(lost, gained) == pytest.approx(expected)
                table = [[7, lost], [gained, 5]]
                assert mcnemar(lost, gained) == pytest.approx(reference_mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize(("n", "flips"), [(30, 0.2), (100, 0.1), (541, 0.2)])
def test_exact_mcnemar_rejects_at_most_five_per_cent(n: int, flips: float) -> None:
    generator = np.random.default_rng(5)
    flipped = generator.binomial(n, flips, size=10_000)
    lost = generator.binomial(flipped, 0.5)
    pairs, counts = np.unique(np.stack([lost, flipped - lost]), axis=1, return_counts=True)
    rejected = sum(int(count) for (a, b), count in zip(pairs.T, counts, strict=True) if mcnemar(int(a), int(b)) <= 0.05)
    assert 0.005 < rejected / 10_000 <= 0.05


def test_permutation_rejects_four_to_six_per_cent_of_continuous_data() -> None:
    generator = np.random.default_rng(6)
    names = alone(20)
    rejected = sum(
        permutation(generator.normal(size=20), names, seed=run, resamples=199) <= 0.05 for run in range(10_000)
    )
    assert 0.04 <= rejected / 10_000 <= 0.06


def test_permutation_by_cluster_holds_its_level_where_items_share_their_cluster() -> None:
    """Clusters of 5 with a large shared part: signs of items would reject far too often, signs of clusters do not."""
    generator = np.random.default_rng(7)
    clusters = [name for name in alone(20) for _ in range(5)]
    by_cluster, by_item = 0, 0
    for run in range(1500):
        values = np.repeat(generator.normal(size=20), 5) + 0.5 * generator.normal(size=100)
        by_cluster += permutation(values, clusters, seed=run, resamples=199) <= 0.05
        by_item += permutation(values, alone(100), seed=run, resamples=199) <= 0.05
    assert 0.03 <= by_cluster / 1500 <= 0.07
    assert by_item / 1500 > 0.2


def test_bca_covers_92_to_97_per_cent_at_fifty_normal_items() -> None:
    generator = np.random.default_rng(8)
    names = alone(50)
    found = [bootstrap_interval(generator.normal(size=50), names, seed=run, resamples=999) for run in range(1500)]
    assert all(interval.method == "BCa bootstrap by cluster" for interval in found)
    assert 0.92 <= np.mean([interval.low <= 0 <= interval.high for interval in found]) <= 0.97


def test_wilson_is_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for right, n in ((0, 12), (7, 32), (32, 32)):
        found = wilson_interval(right / n, n)
        assert (found.low, found.high) == pytest.approx(proportion_confint(right, n, method="wilson"))
