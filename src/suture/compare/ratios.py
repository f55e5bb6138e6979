"""Ratios of paired means with intervals: retention, recovered share; each says where its interval does not exist.

- Fieller (1954) on the cluster-robust covariance of the two means, with Student's t at g - 1 degrees of freedom for g
  clusters: the values r for which mean(numerator) - r mean(denominator) is not established to differ from 0. They
  form a bounded interval only where the denominator itself is established to differ from 0; elsewhere the bounds are
  NaN and the method says "unbounded".
- The score interval for the ratio of two paired 0/1 means (Nam and Blackwelder 2002; closed form of the constrained
  estimate: Tang, Tang and Chan 2003), at the effective number of items. It does not shrink to a point where no item
  flipped, as Fieller's does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from suture.compare.statistics import LEVEL, Vector, Z, design_effect, totals
from suture.compare.verdicts import Interval

LARGEST = 1e6  # a ratio's bound beyond this is called unbounded


def fieller(numerator: Vector, denominator: Vector, clusters: Sequence[str]) -> Interval:
    """Return the 95 % interval of mean(numerator) / mean(denominator), both of shape (n,), paired by item."""
    from scipy import stats

    sums, counts = totals(numerator, clusters)
    others, _ = totals(denominator, clusters)
    groups, n = len(counts), float(counts.sum())
    if groups < 2:
        return absent("one cluster")
    over, under = sums.sum() / n, others.sum() / n
    residual = np.stack([sums - over * counts, others - under * counts])
    spread = groups / (groups - 1) * residual @ residual.T / n**2
    t2 = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1)) ** 2
    a = under**2 - t2 * spread[1, 1]
    if a <= 0:
        return absent("Fieller by cluster: unbounded, the denominator is not established to differ from 0")
    b = over * under - t2 * spread[0, 1]
    half = math.sqrt(max(0.0, b * b - a * (over**2 - t2 * spread[0, 0])))
    return Interval(float((b - half) / a), float((b + half) / a), LEVEL, "Fieller by cluster")


def share_ratio(model: Vector, against: Vector, clusters: Sequence[str]) -> Interval:
    """Return the 95 % score interval of mean(model) / mean(against), both 0/1 of shape (n,), paired by item."""
    if len(set(clusters)) < 2:
        return absent("one cluster")
    size = 1 / design_effect(model - against, clusters)
    both = float((model * against).sum()) * size
    lost, gained = float((model < against).sum()) * size, float((model > against).sum()) * size
    return score_ratio(both, lost, gained, len(model) * size)


def score_ratio(both: float, lost: float, gained: float, n: float) -> Interval:
    """Return the score interval of (both + gained) / (both + lost) from counts of `n` > 0 items, perhaps effective."""
    from scipy.optimize import brentq

    name = "score interval of a paired ratio"
    model, parent = both + gained, both + lost
    if parent <= 0:
        return absent(f"{name}: undefined, the parent has no item right")

    def excess(ratio: float) -> float:
        return (model - ratio * parent) ** 2 - Z**2 * _score_variance(ratio, both, lost, gained, n)

    ratio, step = model / parent, 1e-9
    low = 0.0 if model <= 0 else float(brentq(excess, step, max(step, ratio * (1 - step))))
    if excess(LARGEST) <= 0:
        return absent(f"{name}: unbounded, the parent has too few items right")
    return Interval(low, float(brentq(excess, max(ratio, step) * (1 + step), LARGEST)), LEVEL, name)


def absent(reason: str) -> Interval:
    """Return an interval without bounds that says why there is none."""
    return Interval(math.nan, math.nan, LEVEL, reason)


def _score_variance(ratio: float, both: float, lost: float, gained: float, n: float) -> float:
    """Variance of model - ratio * parent at the most likely shares under that ratio (Tang, Tang and Chan 2003)."""
    seen = both + lost + gained
    a = n * (1 + ratio)
    b = (both + lost) * ratio**2 - (both + gained + 2 * lost)
    c = lost * (1 - ratio) * seen / n
    share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    return n * max(0.0, (1 + ratio) * share + seen * (ratio - 1) / n)
