"""Intervals and p-values against hand-computed numbers, scipy, and their own definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from suture.compare.statistics import (
    Z,
    bootstrap_interval,
    cluster_error,
    design_effect,
    estimate_difference,
    estimate_mean,
    mcnemar,
    noninferiority,
    permutation,
    student_interval,
    tango_interval,
    wilson_interval,
)


def alone(n: int) -> list[str]:
    return [f"{i:03d}" for i in range(n)]


def test_mcnemar_counts_both_tails_of_the_flips() -> None:
    assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 2**6)
    assert mcnemar(5, 1) == mcnemar(1, 5)
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(0, 0) == 1.0


def test_mean_and_cluster_error_of_a_small_table() -> None:
    values = np.array([1.0, 3.0, 5.0, 7.0])  # mean 4; clusters a = {1, 3}, b = {5, 7}: residual sums -4 and 4
    assert cluster_error(values, ["a", "a", "b", "b"]) == pytest.approx(math.sqrt(2 / 1 * 32) / 4)
    assert cluster_error(values, alone(4)) == pytest.approx(stats.sem(values))
    assert math.isnan(cluster_error(values, ["a"] * 4))


def test_student_interval_is_scipys_for_independent_items() -> None:
    values = np.array([0.5, -1.0, 2.0, 3.5, 1.0])
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    found = student_interval(values, alone(5))
    assert (found.low, found.high) == pytest.approx(expected)


def test_design_effect_of_repeated_items_is_the_size_of_a_cluster() -> None:
    base = np.random.default_rng(0).normal(size=40)
    clusters = [name for name in alone(40) for _ in range(5)]
    effect = design_effect(np.repeat(base, 5), clusters)
    assert effect == pytest.approx(5 * (40 / 39) * (199 / 200))
    assert design_effect(base, alone(40)) == pytest.approx(1.0)
    assert design_effect(np.zeros(200), clusters) == 5.0


def test_repeating_each_item_in_its_cluster_changes_no_interval() -> None:
    base = np.random.default_rng(1).normal(size=40)
    clusters = [name for name in alone(40) for _ in range(5)]
    once = bootstrap_interval(base, alone(40), seed=3)
    repeated = bootstrap_interval(np.repeat(base, 5), clusters, seed=3)
    naive = bootstrap_interval(np.repeat(base, 5), alone(200), seed=3)
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high))
    assert (repeated.high - repeated.low) / (naive.high - naive.low) == pytest.approx(math.sqrt(5), rel=0.15)


def test_bootstrap_agrees_with_scipy_at_the_expanded_level() -> None:
    values = np.random.default_rng(2).exponential(size=30)
    level = 1 - 2 * stats.norm.cdf(-math.sqrt(30 / 29) * stats.t.ppf(0.975, 29))
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, confidence_level=level, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    found = bootstrap_interval(values, alone(30), seed=5)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.method.startswith("BCa")


def test_bootstrap_falls_back_to_the_percentile_where_bca_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(size=30)
    real = stats.bootstrap

    def degenerate(*args: object, **options: object) -> object:
        result = real(*args, **options)
        if options["method"] == "BCa":
            result.confidence_interval = type(result.confidence_interval)(math.nan, math.nan)
        return result

    monkeypatch.setattr(stats, "bootstrap", degenerate)
    found = bootstrap_interval(values, alone(30), seed=5)
    assert found.method.startswith("percentile")
    assert found.low < values.mean() < found.high


def test_intervals_depend_on_seed_and_values_only() -> None:
    values = np.random.default_rng(4).normal(size=25)
    assert bootstrap_interval(values, alone(25), seed=1) == bootstrap_interval(values, alone(25), seed=1)
    assert bootstrap_interval(values, alone(25), seed=1) != bootstrap_interval(values, alone(25), seed=2)


def test_wilson_is_scipys() -> None:
    expected = stats.binomtest(7, 32).proportion_ci(0.95, method="wilson")
    found = wilson_interval(7 / 32, 32)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert wilson_interval(0.0, 20).high == pytest.approx(Z**2 / (20 + Z**2))


def test_tango_without_a_flip_is_as_wide_as_the_items_allow() -> None:
    found = tango_interval(0, 0, 32)
    assert (found.low, found.high) == pytest.approx((-(Z**2) / (32 + Z**2), Z**2 / (32 + Z**2)))
    assert tango_interval(32, 0, 32).low == -1.0


@pytest.mark.parametrize(("lost", "gained", "n"), [(5, 2, 32), (9, 1, 44), (31, 1, 32)])
def test_tango_bounds_lie_where_the_score_statistic_reaches_its_quantile(lost: int, gained: int, n: int) -> None:
    """The nuisance share is found by maximising the likelihood on a grid, not by Tango's formula."""
    interval = tango_interval(lost, gained, n)
    for delta in (interval.low, interval.high):
        q = np.linspace(max(0.0, -delta), (1 - delta) / 2, 400_001)[1:-1]
        likelihood = gained * np.log(q + delta) + lost * np.log(q) + (n - lost - gained) * np.log1p(-2 * q - delta)
        best = q[np.argmax(likelihood)]
        statistic = (gained - lost - n * delta) / math.sqrt(n * (2 * best + delta - delta**2))
        assert abs(statistic) == pytest.approx(Z, abs=1e-3)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40))
def test_tango_excludes_zero_where_mcnemars_score_does_and_mirrors(lost: int, gained: int, same: int) -> None:
    n = lost + gained + same
    found, mirrored = tango_interval(lost, gained, n), tango_interval(gained, lost, n)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)
    significant = (gained - lost) ** 2 > Z**2 * (gained + lost)
    assert significant == (not found.low <= 0 <= found.high)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 40), st.floats(0.01, 0.6))
def test_noninferiority_of_shares_is_proven_where_the_interval_clears_the_margin(
    lost: int, gained: int, same: int, margin: float
) -> None:
    n = lost + gained + same
    against = np.array([1.0] * lost + [0.0] * gained + [1.0] * same)
    model = np.array([0.0] * lost + [1.0] * gained + [1.0] * same)
    p = noninferiority(model, against, alone(n), margin, binary=True)
    low = estimate_difference(model, against, alone(n), binary=True).interval.low if n > 1 else math.nan
    if n > 1 and abs(low + margin) > 1e-6:
        assert (p < 0.025) == (low > -margin)


def test_noninferiority_of_a_mean_is_scipys_one_sided_t_test() -> None:
    differences = np.random.default_rng(3).normal(-0.1, 1.0, size=40)
    expected = stats.ttest_1samp(differences, -0.5, alternative="greater").pvalue
    assert noninferiority(differences, np.zeros(40), alone(40), 0.5, binary=False) == pytest.approx(expected)
    turned = noninferiority(-differences, np.zeros(40), alone(40), 0.5, binary=False, sign=-1)
    assert turned == pytest.approx(expected)
    assert noninferiority(np.zeros(9), np.zeros(9), alone(9), 0.5, binary=False) == 0.0
    assert noninferiority(np.full(9, -1.0), np.zeros(9), alone(9), 0.5, binary=False) == 1.0
    assert math.isnan(noninferiority(np.zeros(3), np.zeros(3), ["a"] * 3, 0.5, binary=False))


def test_permutation_of_equal_signs_counts_every_assignment() -> None:
    p = permutation(np.array([1.0, 1.0, 1.0, 1.0]), alone(4), resamples=20_000)
    assert p == pytest.approx(2 / 2**4, abs=0.006)
    assert permutation(np.array([1.0, 1.0, 1.0, 1.0]), ["a", "a", "b", "b"], resamples=20_000) == pytest.approx(
        2 / 2**2, abs=0.012
    )


def test_permutation_is_never_zero_and_one_without_a_difference() -> None:
    assert permutation(np.full(40, 2.0), alone(40), resamples=99) == 1 / 100
    assert permutation(np.zeros(5), alone(5)) == 1.0


def test_permutation_agrees_with_scipy() -> None:
    values = np.random.default_rng(8).normal(0.4, 1, size=12)
    exact = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
    ).pvalue
    assert permutation(values, alone(12), resamples=20_000) == pytest.approx(exact, abs=0.012)


def test_the_kind_and_number_of_items_choose_the_interval() -> None:
    zero_one = np.array([0.0, 1.0] * 10)
    real = np.random.default_rng(0).normal(size=20)
    assert estimate_mean(zero_one, alone(20), binary=True).interval == wilson_interval(0.5, 20)
    assert estimate_difference(zero_one, 1 - zero_one, alone(20), binary=True).interval == tango_interval(10, 10, 20)
    assert estimate_mean(real, alone(20), binary=False).interval.method.startswith("BCa")
    assert estimate_mean(real[:5], alone(5), binary=False).interval.method == "Student t by cluster"
    assert estimate_difference(real, real, alone(20), binary=False).interval.method == "constant"


def test_a_handful_of_unchanged_answers_is_no_proof() -> None:
    found = estimate_difference(np.ones(6), np.ones(6), alone(6), binary=True)
    assert found.value == 0.0
    assert found.interval.low < -0.3
    assert found.error > 0


@pytest.mark.parametrize(
    ("values", "binary"), [([0.0, 1.0, 1.0], True), ([0.5, 0.7, 0.1], False), ([0.5, 0.5, 0.5], False)]
)
def test_one_cluster_gives_no_interval(values: list[float], binary: bool) -> None:
    found = estimate_mean(np.array(values), ["only"] * 3, binary=binary)
    assert math.isnan(found.interval.low)
    assert math.isnan(found.interval.high)
