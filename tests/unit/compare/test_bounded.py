"""Intervals of bounded metrics from few clusters: within the bounds, by hand, mirrored, and covering what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from suture.compare.axes import score_table
from suture.compare.bounded import UNBOUNDED, score_bounds, value_range, wilson_bounds
from suture.compare.contrasts import contrast_tables
from suture.compare.statistics import Z, estimate_difference, estimate_mean, student_interval, wilson_interval
from suture.evaluate.items import ItemRow

SHARE = (0.0, 1.0)


def alone(n: int) -> list[str]:
    return [f"{i:03d}" for i in range(n)]


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=9))
def test_a_share_s_interval_lies_in_its_range_and_holds_the_mean(values: list[float]) -> None:
    found = estimate_mean(np.array(values), alone(len(values)), binary=False, bounds=SHARE)
    assert 0 <= found.interval.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.interval.high <= 1


@given(st.lists(st.floats(0, 50, width=32), min_size=2, max_size=9))
def test_an_amount_s_interval_is_never_negative(values: list[float]) -> None:
    found = estimate_mean(np.array(values), alone(len(values)), binary=False, bounds=(0.0, math.inf))
    assert 0 <= found.interval.low <= found.value + 1e-6 * (1 + found.value)
    assert found.interval.high >= found.value - 1e-6


def test_wilson_s_bounds_are_those_of_zero_one_items() -> None:
    assert wilson_bounds(0.25, 40, Z) == (wilson_interval(0.25, 40).low, wilson_interval(0.25, 40).high)
    values = np.array([0.0, 0.0, 1.0, 1.0])  # error^2 = 1/12, so 3 effective items
    found = estimate_mean(values, alone(4), binary=False, bounds=SHARE).interval
    assert (found.low, found.high) == pytest.approx(wilson_bounds(0.5, 3.0, float(stats.t.ppf(0.975, 3))))


def test_the_scale_does_not_matter() -> None:
    share = estimate_mean(np.array([0.1, 0.0, 0.4]), alone(3), binary=False, bounds=SHARE).interval
    percent = estimate_mean(np.array([10.0, 0.0, 40.0]), alone(3), binary=False, bounds=(0.0, 100.0)).interval
    assert (percent.low, percent.high) == pytest.approx((100 * share.low, 100 * share.high))
    mirrored = estimate_mean(np.array([0.9, 1.0, 0.6]), alone(3), binary=False, bounds=SHARE).interval
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((share.low, share.high))


def test_the_bounds_of_an_amount_solve_their_equation() -> None:
    found = score_bounds(2.0, 0.5, 6, (0.0, math.inf), 2.5)
    assert found is not None
    for end in found:
        assert (2.0 - end) ** 2 == pytest.approx(2.5**2 * 0.5**2 * end / 2.0)


def test_clusters_that_are_all_zero_are_no_proof_of_zero() -> None:
    found = estimate_mean(np.zeros(9), alone(9), binary=False, bounds=SHARE).interval
    t = float(stats.t.ppf(0.975, 8))
    assert (found.low, found.high) == pytest.approx((0.0, t**2 / (9 + t**2)))
    assert estimate_mean(np.zeros(9), alone(9), binary=False).interval.method == "constant"
    amounts = estimate_mean(np.zeros(9), alone(9), binary=False, bounds=(0.0, math.inf)).interval
    assert (amounts.low, amounts.high) == pytest.approx((0.0, t**2 / 9))
    same = estimate_mean(np.full(9, 2.0), alone(9), binary=False, bounds=(0.0, math.inf)).interval
    assert (same.low, same.high, same.method) == (2.0, 2.0, "constant")


def test_many_clusters_keep_the_bootstrap_and_unbounded_metrics_student_s_t() -> None:
    generator = np.random.default_rng(1)
    values = generator.uniform(size=20)
    assert estimate_mean(values, alone(20), binary=False, bounds=SHARE).interval.method.startswith("BCa")
    few = estimate_mean(values[:5], alone(5), binary=False).interval
    assert few == student_interval(values[:5], alone(5))
    assert score_bounds(1.0, 0.1, 5, UNBOUNDED, 2.0) is None


def test_a_difference_ends_where_no_difference_can_be_larger() -> None:
    one, other = np.array([1.0, 1.0, 0.2]), np.array([0.0, 0.1, 0.1])
    free = estimate_difference(one, other, alone(3), binary=False).interval
    kept = estimate_difference(one, other, alone(3), binary=False, bounds=SHARE).interval
    assert free.high > 1
    assert (kept.low, kept.high) == (pytest.approx(free.low), 1.0)


@pytest.mark.parametrize(
    ("metric", "values", "bounds"),
    [
        ("fact_omission", [0.2], SHARE),
        ("inst_level_loose_repaired", [0.2], SHARE),
        ("rougeL", [20.0], (0.0, 100.0)),
        ("fact_fabrication", [3.0], (0.0, math.inf)),
        ("bertscore_f1", [80.0], UNBOUNDED),  # a cosine may be negative
        ("contrast", [0.5], UNBOUNDED),
        ("accuracy", [1.5], UNBOUNDED),  # not the metric that it is called
    ],
)
def test_which_bounds_a_metric_has(metric: str, values: list[float], bounds: tuple[float, float]) -> None:
    assert value_range(metric, np.array(values)) == bounds


def test_five_clusters_of_rare_omissions_are_covered_where_student_s_t_fails() -> None:
    generator = np.random.default_rng(2)
    truth, hits, student = 0.1, 0, 0
    for _ in range(1500):
        values = np.where(generator.random(5) < 0.2, generator.uniform(size=5), 0.0)
        found = estimate_mean(values, alone(5), binary=False, bounds=SHARE).interval
        hits += found.low <= truth <= found.high
        plain = student_interval(values, alone(5))
        student += plain.low <= truth <= plain.high
    assert 0.93 <= hits / 1500 <= 0.99
    assert student / 1500 < 0.7


def test_scores_and_retention_of_a_comparison_know_the_bounds() -> None:
    def table(values: list[float]) -> dict[str, ItemRow]:
        return {
            f"i{k}": ItemRow("m", "t", f"i{k}", f"c{k}", "p", scores={"fact_omission": v / 100, "rougeL": v})
            for k, v in enumerate(values)
        }

    model, parent = table([0.0, 3.0, 60.0]), table([50.0, 30.0, 40.0])
    score = score_table("m", "t", model, "fact_omission", binary=False)
    assert 0 <= score.interval.low < score.interval.high <= 1
    row = contrast_tables(("m", model), ("p", parent), "t", "rougeL", binary=False)
    assert row.retention_interval.low >= 0 or math.isnan(row.retention_interval.low)
    assert -100 <= row.interval.low < row.interval.high <= 100
