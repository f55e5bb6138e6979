"""Composites by hand; an own file; unknown names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from suture.errors import UsageError
from suture.evaluate.scoring.composites import choose, load_composites

SCORES = {"rouge1": 30.0, "rouge2": 15.0, "rougeL": 20.0, "rougeLsum": 45.0, "bleu": 5.0, "meteor": 10.0}
SCORES |= {"bertscore_f1": 70.0, "bleurt": 40.0, "medcon": 50.0}


def test_acibench_takes_the_mean_of_rouge_first() -> None:
    found = load_composites()["acibench"]
    assert found.value(SCORES) == pytest.approx((30.0 + 70.0 + 40.0 + 50.0) / 4)
    assert found.formula() == "mean(mean(rouge1, rouge2, rougeLsum), bertscore_f1, bleurt, medcon)"


def test_plain_needs_no_weights() -> None:
    assert load_composites()["plain"].value(SCORES) == pytest.approx((30 + 15 + 20 + 5 + 10) / 5)


def test_a_missing_part_makes_it_nan_and_never_nothing() -> None:
    assert math.isnan(load_composites()["discharge-me"].value(SCORES))
    assert math.isnan(load_composites()["acibench"].value({**SCORES, "medcon": math.nan}))


def test_a_file_of_ones_own_adds_and_redefines(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("composites:\n  mine: {mean: [rouge1, meteor]}\n  plain: {mean: [rouge2], source: here}\n")
    known = load_composites(path)
    assert known["mine"].value(SCORES) == 20.0
    assert known["plain"].value(SCORES) == 15.0
    assert "acibench" in known


def test_unknown_composites_and_metrics_are_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("composites: {mine: {mean: [rogue1]}}")
    with pytest.raises(UsageError, match=r"'plan'.*plain.*\n.*'rogue1'.*rouge1"):
        choose(("plan", "mine"), load_composites(path), ("rouge1", "bleu"))


def test_a_malformed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("composites: {mine: {mean: []}}")
    with pytest.raises(UsageError, match="mean"):
        load_composites(path)
