"""Intervals of means whose values have bounds, from few clusters: they stay within the bounds, by a score form.

Student's t takes the standard error at the estimate, so that near a bound its interval leaves the range of the metric
and misses the mean too often (of 5 clusters, 80 % of them 0, it covers 61 %; the score form 97 %). A score
interval takes the error at the mean that is tested, with the variance in its shape there and in its size from the data:

- values in [low, high]: Wilson's interval (1927) of the share that the mean is of the range, at the effective number
  of items share (1 - share) / error^2 with Student's quantile (Korn and Graubard 1998; Franco, Little, Louis and Slud
  2019 for clustered shares). Constant values tell no error: then each cluster counts as one item;
- values in [low, infinity): variance in proportion to the distance from `low`, as of counts with overdispersion; where
  all are `low`, as of counts without (Poisson, one a cluster): no error seen is no proof that none is made.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
UNBOUNDED: Range = (-math.inf, math.inf)
SHARES = (
    *("fact_recall", "fact_omission", "repetition", "language_mixing", "refusal", "empty", "truncated", "extracted"),
    *("accuracy", "accuracy_norm", "exact_match", "contrast_sign", "same_response"),
    *("prompt_level_strict", "prompt_level_loose", "inst_level_strict", "inst_level_loose"),
)
PER_CENT = (
    *("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "meteor", "medcon", "alignscore", "radgraph", "plain"),
)
AMOUNTS = ("fact_fabrication", "words", "answer_nll")


def value_range(metric: str, values: NDArray[np.float64]) -> Range:
    """Return the bounds between which `metric` lies by its definition, in its unit; none where `values` leave them."""
    name = metric.removesuffix("_repaired")
    bounds = UNBOUNDED
    if name in SHARES:
        bounds = (0.0, 1.0)
    elif name in PER_CENT:
        bounds = (0.0, 100.0)
    elif name in AMOUNTS:
        bounds = (0.0, math.inf)
    inside = len(values) == 0 or (values.min() >= bounds[0] and values.max() <= bounds[1])
    return bounds if inside else UNBOUNDED


def wilson_bounds(share: float, n: float, quantile: float) -> Range:
    """Return Wilson's bounds of a `share` in [0, 1] of `n` > 0 items, at `quantile` standard errors."""
    centre = (share + quantile**2 / (2 * n)) / (1 + quantile**2 / n)
    half = quantile / (1 + quantile**2 / n) * math.sqrt(share * (1 - share) / n + quantile**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def score_bounds(mean: float, error: float, clusters: int, bounds: Range, quantile: float) -> Range | None:
    """Return the bounds of a mean in `bounds`, error its standard error; None where the data tell none.

    That is so for values without an upper bound that do not vary and lie above `low`, and for values without bounds.
    """
    low, high = bounds
    if not math.isfinite(low):
        return None
    if math.isfinite(high):
        width = high - low
        share = min(max((mean - low) / width, 0.0), 1.0)
        n = share * (1 - share) * (width / error) ** 2 if error > 0 else clusters
        below, above = wilson_bounds(share, n or clusters, quantile)
        return low + width * below, low + width * above
    if mean <= low:
        return low, low + quantile**2 / clusters
    if error == 0:
        return None
    half = (quantile * error) ** 2 / (2 * (mean - low))  # (mean - m)^2 = 2 half (m - low) solved for m
    spread = math.sqrt(2 * half * (mean - low) + half**2)
    return max(low, mean + half - spread), mean + half + spread
