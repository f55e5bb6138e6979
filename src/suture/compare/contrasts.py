"""One model against one parent on one metric: difference, verdict, flips, retention, tests, spread; and the A/A row's.

A verdict reads the 95 % interval of the difference model - parent against the margin m (for a metric of which less is
better, the difference is negated first):

| low end > -m | high end < 0 | verdict |
|---|---|---|
| yes | either | kept: the loss, if there is one, is smaller than what was tolerated beforehand |
| no | yes | forgotten: a loss is established, and that it is tolerable is not |
| no | no | not established at this n: neither is |

A significant loss within the margin is therefore "kept": the margin, not p < 0.05, was agreed to matter; the
contrast's own interval shows the loss. "Forgotten" does not ask that the whole interval lie beyond the margin
(high end < -m), since then a loss that no one doubts would go unnamed at small n. "No headroom" stands where the axis
has none (see `suture.compare.axes`), "descriptive" where no margin was stated. Drift never carries a verdict.

Tests of no difference: exact McNemar for 0/1 metrics, the paired permutation of signs for others; where clusters hold
several items, 0/1 metrics are permuted by whole clusters as well, since McNemar takes items as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture.compare.axes import orientation
from suture.compare.bounded import value_range
from suture.compare.guessing import above_chance
from suture.compare.pairing import Paired, Table, pair
from suture.compare.power import smallest_margin
from suture.compare.ratios import absent, fieller, share_ratio
from suture.compare.statistics import estimate_difference, estimate_mean, mcnemar, noninferiority, permutation
from suture.compare.verdicts import NO_INTERVAL, Contrast, Interval, Recovered, Verdict

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS = 24
WORST = 10


def contrast_tables(
    model: tuple[str, Table],
    against: tuple[str, Table],
    task: str,
    metric: str,
    *,
    binary: bool,
    margin: float = math.nan,
    headroom: bool = True,
    chance: float = math.nan,
    seed: int = 0,
) -> Contrast:
    """Return the paired contrast of two labelled tables of the same items on one metric that both have.

    chance: the mean hit rate of guessing, in (0, 1), where the items are multiple choice; NaN elsewhere.
    """
    paired = pair(model[1], against[1], metric)
    bounds = value_range(metric, np.concatenate([paired.model, paired.against]))
    found = estimate_difference(paired.model, paired.against, paired.clusters, binary=binary, bounds=bounds, seed=seed)
    sign = orientation(metric)
    flips = binary and sign > 0
    retention, retention_interval = (math.nan, NO_INTERVAL)
    if sign > 0:
        retention, retention_interval = _retention(paired, binary=binary, least=0.0 if bounds[0] == 0 else -math.inf)
    return Contrast(
        model=model[0],
        against=against[0],
        task=task,
        metric=metric,
        n=found.n,
        clusters=found.clusters,
        difference=found.value,
        interval=found.interval,
        retention=retention,
        retention_interval=retention_interval,
        margin=margin,
        mde=smallest_margin(found.clusters, found.error * math.sqrt(found.clusters)),
        verdict=judge(found.interval, margin, sign, headroom=headroom),
        sd=float(np.std(paired.model - paired.against, ddof=1)) if found.n > 1 else math.nan,
        noninferiority_p=_noninferiority(paired, margin, binary=binary, sign=sign),
        **_test(paired, binary=binary, seed=seed),
        **(_flips(paired, chance) if flips else _NO_FLIPS),
        **(_flip_rate(paired) if binary else {}),
        **({} if binary else _spread(paired, sign)),
    )


def judge(interval: Interval, margin: float, sign: int = 1, *, headroom: bool = True) -> Verdict:
    """Return the verdict of the module's table; margin is NaN where none was stated, sign -1 where less is better."""
    if math.isnan(margin):
        return "descriptive"
    if not headroom:
        return "no headroom"
    low, high = (interval.low, interval.high) if sign > 0 else (-interval.high, -interval.low)
    if low > -margin:
        return "kept"
    return "forgotten" if high < 0 else "not established at this n"


def recover(
    model: tuple[str, Table], general: tuple[str, Table], clinical: tuple[str, Table], task: str, metric: str
) -> Recovered:
    """Return the recovered share of three labelled tables of the same items, on those scored for all three."""
    one, two = pair(model[1], clinical[1], metric), pair(general[1], clinical[1], metric)
    common = set(one.items) & set(two.items)
    (over, clusters), (under, _) = _gaps(one, common), _gaps(two, common)
    if not len(over):
        interval = absent("no item is scored for all three")
    elif not under.any():
        interval = absent("undefined: the parents score the same on every item")
    elif not over.any() or not (over - under).any():
        interval = absent("undefined: no item tells the model from a parent")
    else:
        interval = fieller(over, under, clusters)
    gap = float(under.mean()) if len(under) else 0.0
    value = float(over.mean()) / gap if gap else math.nan
    return Recovered(
        model[0], general[0], clinical[0], task, metric, len(over), len(set(clusters)), value, interval
    )  # fmt: skip


_NO_FLIPS: dict[str, Any] = {"forgotten": math.nan, "gained": math.nan, "forgotten_items": (), "gained_items": ()}


def _flips(paired: Paired, chance: float) -> dict[str, Any]:
    """Shares of items that flipped, with intervals, raw and above chance."""
    found: dict[str, Any] = {"chance": chance}
    neither = ((paired.model == 0) & (paired.against == 0)).astype(np.float64)
    for name, mask in (("forgotten", paired.model < paired.against), ("gained", paired.model > paired.against)):
        flipped = mask.astype(np.float64)
        share = estimate_mean(flipped, paired.clusters, binary=True)
        found |= {name: share.value, f"{name}_interval": share.interval, f"{name}_items": _where(paired.items, mask)}
        if 0 < chance < 1:
            value, interval = above_chance(flipped, neither, paired.clusters, chance)
            found |= {f"{name}_above_chance": value, f"{name}_above_chance_interval": interval}
    return found


def _flip_rate(paired: Paired) -> dict[str, Any]:
    """Share of items whose 0/1 score differs, whichever way is better."""
    either = estimate_mean((paired.model != paired.against).astype(np.float64), paired.clusters, binary=True)
    return {"flip_rate": either.value, "flip_interval": either.interval}


def _test(paired: Paired, *, binary: bool, seed: int) -> dict[str, Any]:
    clustered = len(set(paired.clusters)) < len(paired.items)
    if binary:
        exact = mcnemar(int((paired.model < paired.against).sum()), int((paired.model > paired.against).sum()))
        if not clustered:
            return {"p_value": exact, "test": "exact McNemar", "mcnemar_p": exact}
        p = permutation(paired.model - paired.against, paired.clusters, seed=seed)
        return {"p_value": p, "test": "paired permutation by cluster", "mcnemar_p": exact}
    p = permutation(paired.model - paired.against, paired.clusters, seed=seed)
    return {"p_value": p, "test": "paired permutation by cluster" if clustered else "paired permutation"}


def _noninferiority(paired: Paired, margin: float, *, binary: bool, sign: int) -> float:
    if math.isnan(margin):
        return math.nan
    return noninferiority(paired.model, paired.against, paired.clusters, margin, binary=binary, sign=sign)


def _spread(paired: Paired, sign: int) -> dict[str, Any]:
    difference = paired.model - paired.against
    order = np.argsort(sign * difference, kind="stable")[:WORST]
    counts, _ = np.histogram(difference, bins=BINS, range=(float(difference.min()), float(difference.max())))
    return {
        "quantiles": tuple(float(value) for value in np.quantile(difference, QUANTILES)),
        "histogram": tuple(int(count) for count in counts),
        "worst_items": tuple(paired.items[index] for index in order if sign * difference[index] < 0),
    }


def _retention(paired: Paired, *, binary: bool, least: float) -> tuple[float, Interval]:
    """Model's share of the parent's mean; NaN where a ratio says nothing, without a positive parent.

    least: below which no ratio lies, 0 for scores that cannot be negative. Fieller's interval, which does not know
    that, is cut there; it covers what it covered.
    """
    model, against = float(paired.model.mean()), float(paired.against.mean())
    if against <= 0:
        return math.nan, absent("undefined: the parent's mean is not positive")
    if binary:
        return model / against, share_ratio(paired.model, paired.against, paired.clusters)
    found = fieller(paired.model, paired.against, paired.clusters)
    return model / against, replace(found, low=max(found.low, least))


def _gaps(paired: Paired, items: set[str]) -> tuple[NDArray[np.float64], list[str]]:
    kept = [index for index, item in enumerate(paired.items) if item in items]
    return (paired.model - paired.against)[kept], [paired.clusters[index] for index in kept]


def _where(items: Sequence[str], mask: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(item for item, chosen in zip(items, mask, strict=True) if chosen)
