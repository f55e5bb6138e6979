from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.recipe.values import Clause, parse_setting


@pytest.mark.parametrize(
    ("points", "t", "value"),
    [
        ((0.0, 0.5, 0.3, 0.7, 1.0), 0.0, 0.0),
        ((0.0, 0.5, 0.3, 0.7, 1.0), 0.125, 0.25),  # half way from the first point to the second
        ((0.0, 0.5, 0.3, 0.7, 1.0), 0.375, 0.4),
        ((0.0, 0.5, 0.3, 0.7, 1.0), 1.0, 1.0),
        ((0.2,), 0.7, 0.2),
        ((1, 3), 0.25, 1.5),
        ((True, False, True), 0.49, True),  # truth values and words step
        ((True, False, True), 0.5, False),
        (("a", "b"), 0.99, "a"),
        (("a", "b"), 1.0, "b"),
    ],
)
def test_a_gradient_at_a_position(points: tuple[float, ...], t: float, value: float) -> None:
    expected = pytest.approx(value, abs=1e-12) if isinstance(value, float) else value
    assert Clause(points).at(t) == expected


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(0, 1))
def test_a_gradient_stays_between_its_points(points: list[float], t: float) -> None:
    value = float(Clause(tuple(points)).at(t))
    assert min(points) - 1e-9 <= value <= max(points) + 1e-9


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8))
def test_a_gradient_passes_through_its_points(points: list[float]) -> None:
    for index, point in enumerate(points):
        assert Clause(tuple(points)).at(index / (len(points) - 1)) == pytest.approx(point, abs=1e-6)


@pytest.mark.parametrize(
    "raw",
    [0.5, True, "l1", [0, 0.5, 1], [{"filter": "mlp", "value": [0, 1]}, {"value": 0.5}], [{"filter": "x", "value": 1}]],
)
def test_a_setting_is_written_as_it_was_read(raw: object) -> None:
    assert parse_setting(raw).written() == raw


def test_one_entry_alone_is_a_list_of_one() -> None:
    assert parse_setting({"value": 1, "filter": "*"}).written() == 1
    assert parse_setting({"value": 1, "filter": "mlp"}).written() == [{"value": 1, "filter": "mlp"}]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "at least one value"),
        ({"value": []}, "at least one value"),
        ({"valeu": 1}, "value and filter only"),
        ({"filter": "mlp"}, "value and filter only"),
        ([{"value": 1}, 2], "each entry"),
        ({"value": 1, "filter": 3}, "a part of tensor names"),
        (None, "not nothing"),
        ([[1]], "not list"),
        ([1, True], "of one kind"),
        ([0.5, "half"], "of one kind"),
    ],
)
def test_values_that_cannot_be_meant(raw: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_setting(raw)
