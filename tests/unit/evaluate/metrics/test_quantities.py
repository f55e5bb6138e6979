"""Numbers and quantities: conversion by units, number words, and what is no number."""

from __future__ import annotations

import pytest

from suture.evaluate.metrics.quantities import quantities


def found(text: str) -> list[tuple[str, str]]:
    return [(quantity.value, quantity.dimension) for quantity in quantities(text)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("500 mg", "0.5 g"),
        ("500mg", "five hundred milligrams"),
        ("50 mcg", "0.05 mg"),
        ("2 weeks", "14 days"),
        ("1,200 mL", "1.2 liters"),
        ("10 units", "ten IU"),
        ("2.5 cm", "25 mm"),
        ("a 58-year-old man", "fifty eight years"),
        ("ejection fraction of 45%", "45 percent"),
    ],
)
def test_equal_quantities_are_equal(one: str, other: str) -> None:
    assert found(one) == found(other) != []


@pytest.mark.parametrize(("one", "other"), [("5 mg", "5 mL"), ("5 mg", "5 mcg"), ("5 mg", "50 mg"), ("5", "5 mg")])
def test_unequal_ones_are_not(one: str, other: str) -> None:
    assert found(one) != found(other)


def test_joined_numbers_are_two_each() -> None:
    assert [value for value, _ in found("BP 120/80, 5.1 x 2.8 cm, 1-2 weeks, 3 to 5 days")] == [
        *("120", "80", "5.1", "0.028", "1", "1.2096e+06", "3", "432000"),
    ]


def test_marks_of_a_list_codes_and_pronouns_are_no_numbers() -> None:
    assert found("1. Nodule.\n2) T12, L4-5, COVID-19, B12 and one of them.") == []


def test_which_quantities_are_doses() -> None:
    doses = [q.is_dose for q in quantities("80 mg, 5 mL, 10 units, 2 tablets, 20 mEq, 45%, 2 weeks, 8 cm, 72 bpm, 7")]
    assert doses == [True] * 5 + [False] * 5
