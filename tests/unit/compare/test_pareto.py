"""The front by hand, with ties, metrics of which less is better, and unscored models."""

from __future__ import annotations

import math

from suture.compare.pareto import front


def test_only_points_that_none_dominates_stand_on_the_front() -> None:
    points = {"general": (9.0, 1.0), "merge": (8.0, 7.0), "worse": (7.0, 7.0), "clinical": (1.0, 8.0)}
    assert front(points, (1, 1)) == ("general", "merge", "clinical")
    assert front(points, (1, -1)) == ("general",)
    assert front(points, (-1, 1)) == ("clinical",)


def test_equal_points_stand_together_and_unscored_ones_apart() -> None:
    assert front({"a": (1.0, 2.0), "b": (1.0, 2.0), "c": (math.nan, 9.0)}, (1, 1)) == ("a", "b")
    assert front({}, (1, 1)) == ()
