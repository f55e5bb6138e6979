"""Paired statistics by item and cluster: differences, 95 % intervals, exact and permutation p-values; pure functions.

Items of one encounter or topic are no independent evidence, so every function takes the cluster of each item:

- continuous metrics: bootstrap over clusters (whole clusters are drawn, the mean is that of the items drawn), BCa
  (Efron 1987), percentile where BCa is not finite. The nominal level is expanded for g clusters (Hesterberg 2015):
  alpha' / 2 = Phi(-sqrt(g / (g - 1)) t(1 - alpha / 2, g - 1)). Below `FEW_CLUSTERS` clusters, since so few cannot be
  resampled to any use: Student's t on the cluster-robust standard error; for the mean of a metric with bounds the score
  form of it, which stays within them (`suture.compare.bounded`), as a mean of resampled items does anyway;
- 0/1 metrics: Wilson's score interval for one mean, Tango's (1998) for a paired difference, at the effective number of
  items n / design effect. A bootstrap of 0/1 data without a flip has width zero and would call a handful of items
  proof; score intervals do not. Tango's interval inverts the score form of McNemar's test.

A constant difference, and a constant metric without bounds, has an interval of width zero (method "constant"); one
cluster gives NaN bounds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from suture.compare.bounded import UNBOUNDED, Range, score_bounds, wilson_bounds
from suture.compare.verdicts import Interval

LEVEL = 0.95
RESAMPLES = 2000
FLIPS = 9999  # of signs: the smallest p-value is 1 in 10 000
BLOCK = 2**22  # signs or resampled clusters held at once, whatever the number of items
FEW_CLUSTERS = 10
Z = 1.959963984540054  # standard normal quantile at (1 + LEVEL) / 2

STUDENT, CONSTANT, SCORE = "Student t by cluster", "constant", "score interval by cluster, Student t"

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over n items in some clusters. error is its cluster-robust standard error, never 0 for 0/1 data."""

    value: float
    error: float
    interval: Interval
    n: int
    clusters: int


def is_binary(values: Vector) -> bool:
    """Whether every value is 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def estimate_mean(
    values: Vector, clusters: Sequence[str], *, binary: bool, bounds: Range = UNBOUNDED, seed: int = 0
) -> Estimate:
    """Return the mean of `values` (finite, one an item); `binary` says that the metric is 0/1, its values in [0, 1].

    bounds are those of the metric's values, where they are known (`suture.compare.bounded.value_range`).
    """
    if not binary:
        return _within(_continuous(values, clusters, seed), bounds)
    return _binary(values, clusters, lambda n: wilson_interval(float(values.mean()), n))


def estimate_difference(
    model: Vector, against: Vector, clusters: Sequence[str], *, binary: bool, bounds: Range = UNBOUNDED, seed: int = 0
) -> Estimate:
    """Return the mean of `model` - `against`, paired by item; `binary` says that both are 0/1.

    bounds are those of the metric's values. No difference exceeds their width, so that the interval of few clusters
    ends there: cut to what is possible it covers what it covered.
    """
    if not binary:
        found, width = _continuous(model - against, clusters, seed), bounds[1] - bounds[0]
        low, high = max(found.interval.low, -width), min(found.interval.high, width)
        return replace(found, interval=replace(found.interval, low=low, high=high))
    lost, gained = float((model < against).mean()), float((model > against).mean())
    return _binary(model - against, clusters, lambda n: tango_interval(lost * n, gained * n, n))


def totals(values: Vector, clusters: Sequence[str]) -> tuple[Vector, Vector]:
    """Return the sum of `values` and the number of items of each cluster, shape (clusters,), clusters sorted."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(index, weights=values).astype(np.float64), np.bincount(index).astype(np.float64)


def cluster_error(values: Vector, clusters: Sequence[str]) -> float:
    """Return the cluster-robust standard error of the mean of `values`; NaN for fewer than two clusters."""
    sums, counts = totals(values, clusters)
    groups = len(counts)
    if groups < 2:
        return math.nan
    residual = sums - values.mean() * counts
    return float(math.sqrt(groups / (groups - 1) * float(residual @ residual)) / len(values))


def design_effect(values: Vector, clusters: Sequence[str]) -> float:
    """Return the variance of the mean by cluster over that of independent items, at least 1.

    Constant values say nothing about it: then the worst case n / clusters, that is one item a cluster counts.
    """
    naive = float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
    if naive == 0.0:
        return len(values) / len(set(clusters))
    return max(1.0, cluster_error(values, clusters) ** 2 / naive)


def bootstrap_interval(
    values: Vector, clusters: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return the 95 % bootstrap interval of the mean of `values`, whole clusters resampled; see the module's text."""
    from scipy import stats

    sums, counts = totals(values, clusters)
    level = _expanded_level(len(counts))

    def run(method: str, previous: object = None) -> object:
        return stats.bootstrap(
            (sums, counts),
            lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=0 if previous else resamples,
            batch=max(1, BLOCK // len(counts)),
            confidence_level=level,
            method=method,
            bootstrap_result=previous,
            rng=np.random.default_rng(seed),
        )

    with warnings.catch_warnings():  # scipy warns where BCa degenerates; the percentile interval answers that
        warnings.simplefilter("ignore")
        result = run("BCa")
        name = "BCa bootstrap by cluster"
        if not np.isfinite(_bounds(result)).all():
            result, name = run("percentile", result), "percentile bootstrap by cluster"
    low, high = _bounds(result)
    return Interval(low, high, LEVEL, name)


def student_interval(values: Vector, clusters: Sequence[str]) -> Interval:
    """Return the 95 % t interval of the mean on the cluster-robust standard error; NaN bounds for one cluster."""
    from scipy import stats

    groups = len(set(clusters))
    half = float(stats.t.ppf((1 + LEVEL) / 2, max(groups - 1, 1))) * cluster_error(values, clusters)
    centre = float(values.mean())
    return Interval(centre - half, centre + half, LEVEL, STUDENT)


def wilson_interval(share: float, n: float) -> Interval:
    """Return Wilson's 95 % score interval of a `share` in [0, 1] of `n` > 0 items (n may be an effective number)."""
    return Interval(*wilson_bounds(share, n, Z), LEVEL, "Wilson score")


def tango_interval(lost: float, gained: float, n: float) -> Interval:
    """Return the 95 % score interval of (gained - lost) / n for paired 0/1 items (Tango 1998).

    lost and gained count the items 1->0 and 0->1 among `n` > 0; effective numbers need not be whole.
    """
    from scipy.optimize import brentq

    difference = (gained - lost) / n

    def excess(delta: float) -> float:
        return (gained - lost - n * delta) ** 2 - Z**2 * _tango_variance(delta, lost, gained, n)

    step = 1e-9  # off the difference itself, where both sides vanish when no item flipped
    low = brentq(excess, -1 + step, difference - step) if difference > -1 + 2 * step else -1.0
    high = brentq(excess, difference + step, 1 - step) if difference < 1 - 2 * step else 1.0
    return Interval(float(low), float(high), LEVEL, "Tango score")


def noninferiority(
    model: Vector, against: Vector, clusters: Sequence[str], margin: float, *, binary: bool, sign: int = 1
) -> float:
    """Return the one-sided p-value of "the loss is at least `margin`": small where non-inferiority is proven.

    margin > 0 in the metric's unit; sign -1 where less is better. 0/1 metrics: Tango's score at a difference of
    -margin, at the effective number of items, so that p < 0.025 exactly where the lower end of Tango's interval lies
    above -margin. Others: Student's t on the cluster-robust standard error, to which the bootstrap interval comes
    close. NaN for one cluster.
    """
    from scipy import stats

    difference = sign * (model - against)
    if len(set(clusters)) < 2:
        return math.nan
    if binary:
        size = 1 / design_effect(difference, clusters)
        lost, gained = float((difference < 0).sum()) * size, float((difference > 0).sum()) * size
        n = len(difference) * size
        spread = math.sqrt(_tango_variance(-margin, lost, gained, n)) if margin < 1 else 0.0
        return float(stats.norm.sf((gained - lost + n * margin) / spread)) if spread else 0.0
    error = cluster_error(difference, clusters)
    distance = float(difference.mean()) + margin
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stats.t.sf(distance / error, len(set(clusters)) - 1))


def mcnemar(lost: int, gained: int) -> float:
    """Return the exact two-sided McNemar p-value of `lost` 1->0 and `gained` 0->1 items; 1 where none flipped."""
    from scipy import stats

    return float(stats.binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def permutation(differences: Vector, clusters: Sequence[str], *, seed: int = 0, resamples: int = FLIPS) -> float:
    """Return the two-sided paired permutation p-value of a mean difference, (1 + as extreme) / (1 + resamples).

    The signs of whole clusters are flipped at random (Phipson and Smyth 2010 for the +1).
    """
    sums, _ = totals(differences, clusters)
    generator = np.random.default_rng(seed)
    seen = abs(float(sums.sum()))
    slack = 1e-12 * float(np.abs(sums).sum())
    block = max(1, BLOCK // len(sums))
    extreme = 0
    for start in range(0, resamples, block):
        chosen = generator.integers(0, 2, size=(min(block, resamples - start), len(sums)), dtype=np.int8)
        extreme += int((np.abs(2 * (chosen @ sums) - sums.sum()) >= seen - slack).sum())
    return (1 + extreme) / (1 + resamples)


def _tango_variance(delta: float, lost: float, gained: float, n: float) -> float:
    """Variance of gained - lost where the difference is `delta`, at the likeliest share lost (Tango 1998)."""
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    return n * (2 * share + delta * (1 - delta))


def _continuous(values: Vector, clusters: Sequence[str], seed: int) -> Estimate:
    value, groups = float(values.mean()), len(set(clusters))
    if groups > 1 and bool((values == values[0]).all()):
        interval = Interval(value, value, LEVEL, CONSTANT)
    elif groups < FEW_CLUSTERS:
        interval = student_interval(values, clusters)
    else:
        interval = bootstrap_interval(values, clusters, seed=seed)
    return Estimate(value, cluster_error(values, clusters), interval, len(values), groups)


def _within(found: Estimate, bounds: Range) -> Estimate:
    """Return the estimate with the score form of its interval, where Student's t or none stood for bounded values."""
    from scipy import stats

    if found.clusters < 2 or found.interval.method not in (STUDENT, CONSTANT):
        return found
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, found.clusters - 1))
    ends = score_bounds(found.value, found.error, found.clusters, bounds, quantile)
    return found if ends is None else replace(found, interval=Interval(*ends, LEVEL, SCORE))


def _binary(values: Vector, clusters: Sequence[str], score: Callable[[float], Interval]) -> Estimate:
    groups = len(set(clusters))
    interval = Interval(math.nan, math.nan, LEVEL, "one cluster")
    if groups > 1:
        interval = score(len(values) / design_effect(values, clusters))
    return Estimate(float(values.mean()), (interval.high - interval.low) / (2 * Z), interval, len(values), groups)


def _expanded_level(groups: int) -> float:
    from scipy import stats

    quantile = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1))
    return 1 - 2 * float(stats.norm.cdf(-math.sqrt(groups / (groups - 1)) * quantile))


def _bounds(result: object) -> tuple[float, float]:
    interval = result.confidence_interval  # type: ignore[attr-defined]
    return float(interval.low), float(interval.high)
