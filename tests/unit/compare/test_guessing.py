"""Flips above chance: the formula by hand, models that only guess, and a simulation with known truth."""

from __future__ import annotations

import numpy as np
import pytest

from suture.compare.guessing import above_chance
from suture.compare.statistics import wilson_interval


def alone(n: int) -> list[str]:
    return [f"{i:04d}" for i in range(n)]


def marks(count: int, n: int, start: int = 0) -> np.ndarray:
    return np.array([1.0 if start <= i < start + count else 0.0 for i in range(n)])


def test_the_formula_by_hand() -> None:
    value, interval = above_chance(marks(20, 100), marks(30, 100, 50), alone(100), 0.25)
    assert value == pytest.approx((0.20 - 0.30 / 3) / 0.75)
    assert interval.low < value < interval.high
    assert interval.method == "variance recovery on Wilson scores"


def test_without_a_wrong_item_it_is_the_flips_own_interval() -> None:
    value, interval = above_chance(marks(3, 40), np.zeros(40), alone(40), 0.5)
    wilson = wilson_interval(3 / 40, 40)
    assert value == pytest.approx(2 * 3 / 40)
    assert interval.high >= min(1.0, 2 * wilson.high) - 1e-12
    assert 0.0 <= interval.low <= 2 * wilson.low


def test_two_models_that_only_guess_forget_nothing() -> None:
    generator = np.random.default_rng(0)
    parent, model = (generator.random((2, 40_000)) < 0.25).astype(float)
    lost, neither = ((parent > model).astype(float), ((parent == 0) & (model == 0)).astype(float))
    assert lost.mean() > 0.18
    value, interval = above_chance(lost, neither, alone(40_000), 0.25)
    assert value < 0.01
    assert interval.low == 0.0


def test_the_interval_covers_what_was_really_forgotten() -> None:
    """10 % known to the parent only, 40 % to both, 50 % to none; four options; 200 items."""
    generator = np.random.default_rng(1)
    names, hits = alone(200), 0
    for _ in range(500):
        kind = generator.choice(3, size=200, p=(0.1, 0.4, 0.5))
        guess = generator.random((2, 200)) < 0.25
        parent, model = (kind < 2) | guess[0], (kind == 1) | guess[1]
        _, interval = above_chance((parent & ~model).astype(float), (~parent & ~model).astype(float), names, 0.25)
        hits += interval.low <= 0.1 <= interval.high
    assert hits / 500 >= 0.93
