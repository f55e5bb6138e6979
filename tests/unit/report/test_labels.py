"""Numbers are written in the unit shown, with a true minus, and a dash where there is none."""

from __future__ import annotations

from math import nan

import pytest

from suture.compare.verdicts import Interval
from suture.evaluate.repaired import Difference
from suture.report.labels import (
    TASKS,
    coefficient,
    interval_text,
    is_quality,
    measure,
    measure_in_unit,
    number,
    realised,
    repair_line,
    share,
    value_text,
    with_interval,
)
from suture.tasks.ifeval import LEVELS
from suture.tasks.suites import SUITES, get_suite


@pytest.mark.parametrize(
    ("value", "decimals", "signed", "text"),
    [
        (1.25, 1, False, "1.2"),
        (-0.5, 2, False, "−0.50"),
        (0.5, 1, True, "+0.5"),
        (-0.04, 1, True, "0.0"),
        (nan, 2, False, "–"),
    ],
)
def test_number(value: float, decimals: int, signed: bool, text: str) -> None:
    assert number(value, decimals, signed=signed) == text


def test_a_share_metric_is_written_in_per_cent() -> None:
    assert value_text("accuracy", 0.415) == "41.5"
    assert value_text("accuracy", -0.052, signed=True) == "−5.2"
    assert value_text("contrast", 8.604) == "8.60"
    assert value_text("unknown_metric", 0.12345) == "0.123"


@pytest.mark.parametrize("suite", SUITES)
def test_every_task_of_a_suite_has_a_name(suite: str) -> None:
    assert {task.name for task in get_suite(suite)} <= TASKS.keys()


def test_intervals() -> None:
    interval = Interval(-0.1, 0.05, 0.95, "BCa")
    assert interval_text("accuracy", interval, signed=True) == "[−10.0,\u202f+5.0]"
    assert with_interval("accuracy", -0.02, interval) == "−2.0 [−10.0,\u202f5.0]"
    assert with_interval("accuracy", 0.5, Interval(nan, nan, 0.95, "none")) == "50.0"


def test_words_of_a_measure() -> None:
    assert measure("contrast", "contrast") == "instruction contrast"
    assert measure("clinic_summary", "rougeL") == "ROUGE-L on clinic summaries"
    assert measure("clinic_likelihood", "log_likelihood") == "log-likelihood of held-out notes"
    assert measure("new_task", "new_metric") == "new metric on new task"
    assert measure("drift", "kl_to_general") == "KL to general on drift"


def test_coefficients_and_shares() -> None:
    assert [coefficient(value) for value in (0.0, 0.25, 0.5, 1.0, nan)] == ["0", "0.25", "0.5", "1", "–"]
    assert realised(0.5) == "0.500"
    assert share(0.073) == "7.3\u202f%"
    assert share(-0.0) == "0.0\u202f%"
    assert share(nan) == "–"


def test_a_repaired_score_is_named_after_its_metric() -> None:
    assert measure_in_unit("ifeval", "prompt_level_loose_repaired") == "prompts passed, loose, repaired on IFEval (%)"
    assert value_text("prompt_level_loose_repaired", 0.125) == "12.5"
    assert not is_quality("prompt_level_loose_repaired")
    assert is_quality("prompt_level_loose")


def test_the_line_on_repaired_verdicts_names_numbers_and_items() -> None:
    published = dict.fromkeys(LEVELS, 0.5)
    same = Difference(2, published, published, (), 4, 0)
    assert repair_line("ifeval", same) == "IFEval: published and repaired verdicts agree on all 2 prompts."
    apart = Difference(2, published, {**published, "prompt_level_strict": 0.0}, ("k1",), 4, 1)
    assert repair_line("ifeval", apart) == (
        "IFEval: published and repaired verdicts differ on 1 of 2 prompts (k1): prompts passed, strict 50.0 → 0.0 %; "
        "1 of 4 instructions hang on a draw of the published code."
    )
    even = Difference(30, published, published, tuple(map(str, range(12))), 0, 0)
    assert repair_line("ifeval", even).endswith("12 of 30 prompts (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …), with equal means.")


def test_the_authors_instruction_level_accuracy_is_said_beside_it() -> None:
    accuracy = {"inst_level_strict": 0.25, "inst_level_loose": 0.5}
    found = Difference(2, dict.fromkeys(LEVELS, 0.5), dict.fromkeys(LEVELS, 0.5), (), 4, 0, accuracy)
    assert repair_line("ifeval", found).endswith(
        "agree on all 2 prompts. Of all 4 instructions, as its authors count: strict 25.0 %, loose 50.0 %."
    )
