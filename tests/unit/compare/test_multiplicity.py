"""Adjusted p-values by hand, against statsmodels, and which contrast belongs to which family."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from suture.compare.multiplicity import adjust, benjamini_hochberg, holm
from suture.compare.verdicts import Contrast, Interval

P_VALUES = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=30)


def test_holm_and_benjamini_hochberg_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])  # 3 x .01, 2 x .03, then not below it
    assert benjamini_hochberg([0.04, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])  # .045 gives way to .04
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == benjamini_hochberg([]) == []


@given(P_VALUES)
def test_they_are_those_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))
    assert benjamini_hochberg(p_values) == pytest.approx(list(multipletests(p_values, method="fdr_bh")[1]))


def contrast(model: str, against: str, metric: str, p_value: float) -> Contrast:
    bounds = Interval(-1.0, 1.0, 0.95, "test")
    nan = math.nan
    return Contrast(
        model, against, "t", metric, 9, 9, 0.0, bounds, nan, nan, nan, (), (), nan, 1.0, "descriptive", p_value
    )


def test_families_are_corrected_apart() -> None:
    rows = [
        contrast("merge", "general", "a", 0.01),
        contrast("merge", "clinical", "a", 0.04),
        contrast("merge", "general", "b", 0.02),
        contrast("merge", "clinical", "b", 0.03),
        contrast("clinical", "general", "a", 0.001),
        contrast("general", "clinical", "a", 0.001),
        contrast("merge", "general", "kl_to_general", 0.001),
    ]
    found = adjust(rows, parents=("general", "clinical"), primary=[("t", "a")])
    assert [row.family for row in found] == ["primary"] * 2 + ["secondary"] * 2 + ["parents"] * 2 + ["none"]
    assert [row.correction for row in found] == ["Holm"] * 2 + ["Benjamini-Hochberg"] * 4 + [""]
    assert [row.p_adjusted for row in found[:6]] == pytest.approx([0.02, 0.04, 0.03, 0.03, 0.001, 0.001])
    assert math.isnan(found[6].p_adjusted)
    assert all(math.isnan(row.noninferiority_p_adjusted) for row in found)
    assert [replace(row, family="none", correction="", p_adjusted=math.nan).p_value for row in found] == [
        row.p_value for row in rows
    ]


def test_claims_of_noninferiority_are_a_family_over_all_margins_of_the_merges() -> None:
    rows = [
        replace(contrast("merge", "general", "a", 0.5), noninferiority_p=0.01),
        replace(contrast("merge", "clinical", "b", 0.5), noninferiority_p=0.02),
        replace(contrast("clinical", "general", "a", 0.5), noninferiority_p=0.001),
        contrast("merge", "general", "c", 0.5),
    ]
    found = adjust(rows, parents=("general", "clinical"), primary=[("t", "a")])
    assert [row.noninferiority_p_adjusted for row in found[:2]] == pytest.approx([0.02, 0.02])
    assert all(math.isnan(row.noninferiority_p_adjusted) for row in found[2:])
