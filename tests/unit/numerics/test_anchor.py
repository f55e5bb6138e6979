from __future__ import annotations

from suture.numerics.anchor import anchored


def test_anchor_is_the_largest_coefficient() -> None:
    assert anchored([0.25, 0.75]) == (1, 1.0)
    assert anchored([1.0, -3.0, 2.0]) == (1, 0.0)


def test_a_tie_takes_the_lowest_index() -> None:
    assert anchored([-1.0, 1.0, 1.0]) == (0, 1.0)


def test_the_sum_is_snapped_to_one_and_to_nothing_else() -> None:
    assert anchored([0.1] * 10)[1] == 1.0
    assert anchored([1.0, 1e-13])[1] == 1.0
    assert anchored([1.0, 1e-11])[1] != 1.0
    assert anchored([2.0, 1e-13])[1] != 2.0
