"""Flips that are more than guessing: forgotten and gained shares of multiple choice, corrected for chance.

A model that does not know an answer still hits it with probability c (one in the number of options), so between two
models that know nothing c (1 - c) of the items go from right to wrong. The classical knowledge-or-random-guessing model
(Lord and Novick 1968, chapter 14), taken to a pair whose guesses are independent, gives for the observed shares

    forgotten = q10 (1 - c) + q00 c (1 - c)        neither right = q00 (1 - c)^2

with q10 the share of items known to the parent only and q00 that known to none, hence

    q10 = (forgotten - neither c / (1 - c)) / (1 - c)

and the same for gained with q01. Below 0 it is cut to 0. Merges share weights with their parents, so their guesses
agree more often than independent ones: the correction then takes off too much, and the truth lies between it and the
raw share. Where the number of options varies, c is its mean over the items.

Interval: the method of variance estimates recovery (Zou and Donner 2008) on the Wilson intervals of the two shares at
the effective number of items, with the correlation of two shares of one multinomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from suture.compare.ratios import absent
from suture.compare.statistics import LEVEL, Vector, design_effect, wilson_interval
from suture.compare.verdicts import Interval


def above_chance(flipped: Vector, neither: Vector, clusters: Sequence[str], chance: float) -> tuple[float, Interval]:
    """Return the share of items known to one model only, and its 95 % interval, both in [0, 1].

    flipped and neither mark the items (0/1, shape (n,)) that flipped this way and that no model has right; chance is in
    (0, 1).
    """
    share, wrong = float(flipped.mean()), float(neither.mean())
    factor = chance / (1 - chance)
    value = share - factor * wrong
    if len(set(clusters)) < 2:
        return _cut(value / (1 - chance)), absent("one cluster")
    one = wilson_interval(share, len(flipped) / design_effect(flipped, clusters))
    two = wilson_interval(wrong, len(neither) / design_effect(neither, clusters))
    spread = (1 - share) * (1 - wrong)
    together = -math.sqrt(share * wrong / spread) if spread > 0 else 0.0
    low = value - _joined(share - one.low, factor * (two.high - wrong), together)
    high = value + _joined(one.high - share, factor * (wrong - two.low), together)
    low, high = _cut(low / (1 - chance)), _cut(high / (1 - chance))
    return _cut(value / (1 - chance)), Interval(low, high, LEVEL, "variance recovery on Wilson scores")


def _joined(one: float, two: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one * one + two * two - 2 * correlation * one * two))


def _cut(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))
