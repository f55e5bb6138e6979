"""Distributions of per-item differences: a histogram a model, on one scale a measure and parent, without script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from suture.compare.axes import orientation
from suture.compare.verdicts import Contrast
from suture.report.data import ReportData
from suture.report.labels import is_quality, measure_in_unit, value_text

HEIGHT = 24.0  # of a histogram, in the units in which its width is 100


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar: left edge, width, top and height in the drawing's units; worse where the items in it lost."""

    x: float
    width: float
    y: float
    height: float
    worse: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """The differences of one model: its bars, where the median lies (0 to 100), and what a reader hears instead."""

    model: str
    bins: tuple[Bin, ...]
    median: float
    lost: str
    spoken: str


@dataclass(frozen=True, slots=True)
class Spread:
    """All models against one parent on one measure. zero and margin: where these lie, 0 to 100; margin NaN for none."""

    measure: str
    against: str
    n: int
    low: str
    high: str
    zero: float
    margin: float
    rows: tuple[Histogram, ...]


def spreads(data: ReportData) -> tuple[Spread, ...]:
    """Return a panel for each measure of quality with a histogram and each parent; judged measures only, if any are."""
    judged = {(axis.task, axis.metric) for axis in data.comparison.axes}
    found: dict[tuple[str, str, str], list[Contrast]] = {}
    for contrast in data.comparison.contrasts:
        key = (contrast.task, contrast.metric)
        shown = key in judged if judged else is_quality(contrast.metric)
        if contrast.histogram and shown:
            found.setdefault((*key, contrast.against), []).append(contrast)
    return tuple(_spread(contrasts) for contrasts in found.values())


def _spread(contrasts: Sequence[Contrast]) -> Spread:
    first = contrasts[0]
    low = min(0.0, *(c.quantiles[0] for c in contrasts))
    high = max(0.0, *(c.quantiles[-1] for c in contrasts))
    width = high - low or 1.0
    sign = orientation(first.metric)

    def place(value: float) -> float:
        return 100 * (value - low) / width

    margin = place(-sign * first.margin) if isfinite(first.margin) else first.margin
    return Spread(
        measure=measure_in_unit(first.task, first.metric),
        against=first.against,
        n=first.n,
        low=value_text(first.metric, low, signed=True),
        high=value_text(first.metric, high, signed=True),
        zero=place(0.0),
        margin=margin if isfinite(margin) and 0 <= margin <= 100 else float("nan"),
        rows=tuple(_histogram(contrast, sign, low, width) for contrast in contrasts),
    )


def _histogram(contrast: Contrast, sign: int, low: float, width: float) -> Histogram:
    start, stop = contrast.quantiles[0], contrast.quantiles[-1]
    step, tallest = (stop - start) / len(contrast.histogram), max(contrast.histogram)
    bins = []
    for index, count in enumerate(contrast.histogram):
        if count:
            height = HEIGHT * count / tallest
            x = 100 * (start + index * step - low) / width
            worse = sign * (start + (index + 0.5) * step) < 0
            bins.append(Bin(x, max(0.6, 100 * step / width), HEIGHT - height, height, worse))
    middle = contrast.quantiles[len(contrast.quantiles) // 2]
    five, ninety_five = (value_text(contrast.metric, contrast.quantiles[k], signed=True) for k in (1, 5))
    written = value_text(contrast.metric, middle, signed=True)
    return Histogram(
        model=contrast.model,
        bins=tuple(bins),
        median=100 * (middle - low) / width,
        lost=f"{written} [{five},\u202f{ninety_five}]",
        spoken=f"{contrast.model}: median {written}, 90 % of the items between {five} and {ninety_five}",
    )
