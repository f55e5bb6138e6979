"""Planning: the formula by hand, and a simulation in which 80 % means 80 %."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from suture.compare.power import discordance_sd, plan_margins, smallest_margin
from suture.compare.verdicts import Interval, Margin, Score


def test_smallest_margin_by_hand() -> None:
    # Student's t at 24 degrees of freedom: 2.0639 at 0.975, 0.8569 at 0.8
    assert smallest_margin(25, 10.0) == pytest.approx((2.0639 + 0.8569) * 2.0, abs=1e-3)
    # for many items the normal quantiles: 1.9600 + 0.8416
    assert smallest_margin(1_000_000, 1.0) == pytest.approx(2.8016e-3, rel=1e-4)
    assert math.isnan(smallest_margin(1, 1.0))


def test_twenty_percent_discordant_items() -> None:
    assert discordance_sd(0.2) == pytest.approx(math.sqrt(0.2))
    assert discordance_sd(0.2, 0.1) == pytest.approx(math.sqrt(0.19))
    found = [round(100 * smallest_margin(n, discordance_sd(0.2))) for n in (32, 64, 256, 541)]
    assert found == [23, 16, 8, 5]


@pytest.mark.parametrize("n", [12, 40])
def test_the_margin_is_proven_in_eighty_percent_of_runs(n: int) -> None:
    margin = smallest_margin(n, 3.0)
    runs = np.random.default_rng(17).normal(0.0, 3.0, size=(20_000, n))
    low = runs.mean(axis=1) - stats.t.ppf(0.975, n - 1) * stats.sem(runs, axis=1)
    assert np.mean(low > -margin) == pytest.approx(0.8, abs=0.03)


def test_a_plan_compares_what_is_asked_with_what_can_be_proven() -> None:
    wide = Margin("instruction", "ifeval", "prompt_level_strict", 0.25, "reason", discordance_sd(0.2), "pilot")
    narrow = Margin("medical", "clinic_mcq", "accuracy", 0.05, "reason", discordance_sd(0.2), "guess")
    floor = Score("constant", "ifeval", "prompt_level_strict", 32, 32, 0.17, Interval(0.1, 0.3, 0.95, "Wilson score"))
    sizes = {"ifeval": (32, 32), "clinic_mcq": (64, 20)}
    first, second = plan_margins([wide, narrow], sizes, {("ifeval", "prompt_level_strict"): floor})
    assert (first.n, first.floor, first.floor_value, first.provable) == (32, "constant", 0.17, True)
    assert (second.n, second.clusters, second.floor, second.provable) == (64, 20, "", False)
    assert math.isnan(second.floor_value)
    assert second.smallest == smallest_margin(64, discordance_sd(0.2))
    assert second.source == "guess"
