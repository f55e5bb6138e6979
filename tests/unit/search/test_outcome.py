"""Differences between candidates on the items that both have read, by hand; intervals stay within a metric's bounds."""

from __future__ import annotations

import numpy as np
import pytest

from suture.search.outcome import _mean, ahead
from suture.search.space import Goal
from suture.search.splits import Measured
from suture.tasks.registry import TASKS


def test_candidates_are_compared_on_items_that_both_have_read() -> None:
    own = [np.array([1.0, 3.0]), np.array([0.5])]
    other = [np.array([0.0, 1.0, 100.0]), np.array([1.0, 50.0])]
    assert ahead(own, other, [2.0, -1.0]) == pytest.approx([2.0 * 1.5, 0.5])


def test_an_interval_of_few_clusters_stays_within_the_metrics_bounds() -> None:
    measured = Measured(Goal(task="mts_section", metric="rougeL"), TASKS["mts_section"], dev=(), test=())
    scores = np.array([0.0, 1.0, 0.0, 40.0, 0.0, 2.0])  # Student's t on five degrees of freedom would go below 0
    found = _mean(measured, scores, ["a", "b", "c", "d", "e", "f"], seed=0)
    assert found["objective"] == "mts_section.rougeL"
    assert found["mean"] == pytest.approx(43 / 6)
    assert 0 < found["low"] < found["mean"] < found["high"] < 100
