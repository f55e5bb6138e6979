"""What a comparison can prove before it is run: the smallest provable margin at a given number of items.

"Kept" is non-inferiority read from the two-sided 95 % interval, that is a one-sided test at 2.5 %. At a true difference
of 0 it succeeds with probability `power` when the margin is (t(1 - alpha/2) + t(power)) sd / sqrt(n), with Student's
quantiles at n - 1 degrees of freedom (the usual approximation of the noncentral t). Planning a
smaller margin than that is planning to find nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suture.compare.verdicts import Margin, Score


@dataclass(frozen=True, slots=True)
class PlanningRow:
    """What one stated margin needs and what `n` items in `clusters` can prove, in the metric's unit.

    floor names the best floor ("" where none is known, then floor_value is NaN); sd is the planned spread of one paired
    difference and source where it comes from; provable says whether margin >= smallest.
    """

    axis: str
    task: str
    metric: str
    n: int
    clusters: int
    floor: str
    floor_value: float
    margin: float
    smallest: float
    provable: bool
    sd: float
    source: str


def smallest_margin(n: int, sd: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest margin at which non-inferiority is provable with `n` items; NaN for fewer than two.

    sd is the standard deviation of one paired difference (>= 0, the metric's unit); the true difference is taken as 0;
    alpha is two-sided (one-sided alpha / 2). The unit of the result is that of sd.
    """
    from scipy import stats

    if n < 2:
        return math.nan
    return float(stats.t.ppf(1 - alpha / 2, n - 1) + stats.t.ppf(power, n - 1)) * sd / math.sqrt(n)


def discordance_sd(discordant: float, difference: float = 0.0) -> float:
    """Return the standard deviation of one paired 0/1 difference.

    discordant is the share of items on which the two models differ, in [0, 1]; |difference| <= discordant.
    """
    return math.sqrt(discordant - difference**2)


def plan_margins(
    margins: Sequence[Margin],
    sizes: Mapping[str, tuple[int, int]],
    floors: Mapping[tuple[str, str], Score] | None = None,
) -> tuple[PlanningRow, ...]:
    """Return one row a margin. sizes maps a task to its (items, clusters); floors a (task, metric) to its best floor.

    A margin's planning_sd must carry the design effect where items share clusters: se * sqrt(n) of a pilot does.
    """
    return tuple(
        _plan(margin, sizes[margin.task], (floors or {}).get((margin.task, margin.metric))) for margin in margins
    )


def _plan(margin: Margin, size: tuple[int, int], floor: Score | None) -> PlanningRow:
    smallest = smallest_margin(size[0], margin.planning_sd)
    return PlanningRow(
        axis=margin.axis,
        task=margin.task,
        metric=margin.metric,
        n=size[0],
        clusters=size[1],
        floor=floor.model if floor else "",
        floor_value=floor.value if floor else math.nan,
        margin=margin.value,
        smallest=smallest,
        provable=margin.value >= smallest,
        sd=margin.planning_sd,
        source=margin.planning_source,
    )
