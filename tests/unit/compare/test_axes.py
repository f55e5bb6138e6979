"""Floors and headroom: the best trivial answer, and parents inside, above and below it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from suture.compare.axes import make_axis, orientation, score_floors, score_table
from suture.compare.pairing import Table
from suture.compare.statistics import wilson_interval
from suture.compare.verdicts import Axis, Margin, Score
from suture.evaluate.items import ItemRow, write_rows


def table(values: list[float], metric: str) -> Table:
    rows = [ItemRow("digest", "task", f"{i:02d}", f"{i:02d}", "p", scores={metric: v}) for i, v in enumerate(values)]
    return {row.item_id: row for row in rows}


def axis(floor: list[float] | None, *parents: list[float], metric: str = "accuracy") -> Axis:
    def score(label: str, values: list[float]) -> Score:
        return score_table(label, "task", table(values, metric), metric, binary=metric == "accuracy")

    margin = Margin("medical", "task", metric, 0.1, "reason", 0.4, "pilot")
    scores = [score(f"parent{i}", values) for i, values in enumerate(parents)]
    return make_axis(margin, score("chance", floor) if floor else None, scores)


def test_the_best_floor_is_the_highest_or_lowest_mean(tmp_path: Path) -> None:
    for label, good, bad in (("constant", 0.2, 0.1), ("copy", 0.4, 0.6)):
        rows = [
            ItemRow(f"floor:{label}", "t", f"{i}", f"{i}", "p", scores={"rougeL": good, "repetition": bad})
            for i in "ab"
        ]
        write_rows(tmp_path / label / "t", rows, {})
    found = score_floors({label: tmp_path / label for label in ("constant", "copy")})
    assert (found["t", "rougeL"].model, found["t", "rougeL"].value) == ("copy", 0.4)
    assert (found["t", "repetition"].model, found["t", "repetition"].value) == ("constant", 0.1)
    assert (orientation("rougeL"), orientation("repetition")) == (1, -1)


def test_parents_within_a_chance_level_have_no_headroom() -> None:
    chance = [0.25] * 40
    found = axis(chance, [1.0] * 11 + [0.0] * 29, [1.0] * 14 + [0.0] * 26)  # 27.5 and 35 %; the interval ends at 40.2
    assert found.floor_interval == wilson_interval(0.25, 40)
    assert found.headroom is False
    assert "parent0 and parent1" in found.note
    assert (found.n, found.floor, found.floor_value) == (40, "chance", 0.25)


def test_one_parent_clear_of_the_floor_is_headroom() -> None:
    found = axis([0.25] * 40, [1.0] * 11 + [0.0] * 29, [1.0] * 30 + [0.0] * 10)
    assert found.headroom is True
    assert found.note == "clear of the chance floor: parent1"


def test_parents_below_the_floor_have_no_headroom() -> None:
    assert axis([1.0] * 20 + [0.0] * 20, [0.0] * 40, [1.0] * 2 + [0.0] * 38).headroom is False


@pytest.mark.parametrize(("shift", "headroom"), [(0.05, False), (2.0, True)])
def test_a_floor_without_spread_is_judged_by_the_parents_interval(shift: float, headroom: bool) -> None:
    spread = [shift + step / 10 for step in range(-15, 16)]
    found = axis([0.0] * 31, spread, metric="contrast")
    assert found.floor_interval.low == found.floor_interval.high == 0.0
    assert found.headroom is headroom


def test_less_is_better_turns_the_floor_around() -> None:
    floor = [0.5 + step / 100 for step in range(-10, 11)]
    assert axis(floor, [v - 0.4 for v in floor], metric="answer_nll").headroom is True
    assert axis(floor, [v + 0.4 for v in floor], metric="answer_nll").headroom is False


def test_an_axis_without_a_floor_has_headroom_and_says_so() -> None:
    found = axis(None, [1.0, 0.0])
    assert found.headroom is True
    assert math.isnan(found.floor_value)
    assert math.isnan(found.floor_interval.low)
    assert found.note == "no floor is known for this metric"


def test_a_score_counts_scored_items_and_their_clusters() -> None:
    rows = [
        ItemRow("d", "t", f"{i}", "ab"[i % 2], "p", scores={"m": v}) for i, v in enumerate([1.0, 2.0, math.nan, 3.0])
    ]
    found = score_table("model", "t", {row.item_id: row for row in rows}, "m", binary=False)
    assert (found.n, found.clusters, found.value) == (3, 2, 2.0)


def test_a_count_that_is_0_or_1_for_all_models_is_no_share_of_a_floor() -> None:
    found = score_table(
        "floor:copy", "task", table([3.0, 1.0, 2.0], "fact_fabrication"), "fact_fabrication", binary=True
    )
    assert (found.value, found.n) == (2.0, 3)
