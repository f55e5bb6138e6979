"""Choice, contrast and likelihood: the arithmetic by hand, on an engine that answers from a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from suture.data.records import Choice, ContrastPair, Record
from suture.evaluate.engine import Likelihood
from suture.evaluate.reading import choose, contrast, judge, likelihood
from suture.tasks.registry import get_task


class Table:
    """Stands in for the engine: log p of a continuation is looked up; every question asked is kept."""

    def __init__(self, table: dict[tuple[str, str], float]) -> None:
        self.table = table
        self.asked: list[tuple[str, str]] = []

    def chat(self, text: str) -> str:
        return f"<{text}>"

    def loglikelihood(self, requests: Sequence[tuple[str, Sequence[str]]], *, advance: Any) -> list[list[Likelihood]]:
        self.asked += [(prefix, text) for prefix, texts in requests for text in texts]
        return [
            [Likelihood(self.table[prefix, text], len(text.split())) for text in texts] for prefix, texts in requests
        ]


def silent(_: int) -> None:
    """Nobody listens."""


def test_the_choice_is_by_byte_and_the_nll_by_sum() -> None:
    item = Choice("q", "e", "Which?", ("ab", "abcd", "x"), 1)
    chosen, nll = judge(item, [-3.0, -4.0, -2.0])
    assert chosen == 1  # -1.5, -1.0, -2.0 a byte
    assert nll == pytest.approx(-math.log(math.exp(-4) / (math.exp(-3) + math.exp(-4) + math.exp(-2))))


def test_bytes_not_characters() -> None:
    assert judge(Choice("q", "e", "", ("é", "ab"), 0), [-3.0, -2.9])[0] == 1  # 2 bytes each: -1.5 and -1.45


def test_choose_keeps_the_option_and_both_scores() -> None:
    task = get_task("clinic_mcq")
    prompt = f"<{task.user_text('Which side?')}>"
    engine: Any = Table({(prompt, "left"): -8.0, (prompt, "right"): -1.0})
    (row,) = choose(engine, task, [Choice("q", "e", "Which side?", ("left", "right"), 0)], "d" * 64, silent)
    assert (row.item_id, row.cluster_id, row.answer, row.tokens) == ("q", "e", "right", 2)
    assert row.scores["accuracy"] == 0.0
    assert row.scores["answer_nll"] == pytest.approx(8 - 1 + math.log(1 + math.exp(-7)))


def pair(number: str, a: str, b: str) -> ContrastPair:
    return ContrastPair(
        f"pair-{number}", "topic", f"kind {a}", f"kind {b}", f"ask {a}", f"ask {b}", f"say {a}", f"say {b}"
    )


def test_contrast_by_hand_and_each_reading_once() -> None:
    table = {(f"<ask {p}>", f"say {r}"): -10.0 for p in "abc" for r in "abc"}
    table |= {("<ask a>", "say a"): -4.0, ("<ask b>", "say b"): -7.0, ("<ask b>", "say a"): -9.0}
    engine: Any = Table(table)
    rows = contrast(engine, get_task("contrast"), [pair("1", "a", "b"), pair("2", "b", "c")], "d" * 64, silent)
    assert rows[0].scores == {"contrast": -4 - -9 + -7 - -10, "contrast_sign": 1.0}
    assert rows[1].scores == {"contrast": 3.0, "contrast_sign": 1.0}
    assert {row.cluster_id for row in rows} == {"topic"}
    assert len(engine.asked) == len(set(engine.asked)) == 7  # (a, c) and (c, a) belong to no pair


def test_an_indifferent_model_has_no_contrast() -> None:
    engine: Any = Table({(f"<ask {p}>", f"say {r}"): -{"a": 3.0, "b": 9.0}[r] for p in "ab" for r in "ab"})
    (row,) = contrast(engine, get_task("contrast"), [pair("1", "a", "b")], "d" * 64, silent)
    assert row.scores == {"contrast": 0.0, "contrast_sign": 0.0}


def record(source: str) -> Record:
    return Record("r", "clinic", "e", "note", source, "no fever today", "test", "Apache-2.0")


@pytest.mark.parametrize(("name", "prefix"), [("clinic_likelihood", ""), ("mts_likelihood", "<{}>")])
def test_likelihood_is_a_mean_over_tokens(name: str, prefix: str) -> None:
    task = get_task(name)
    prompt = prefix.format(task.user_text("Dialogue."))
    engine: Any = Table({(prompt, "no fever today"): -6.0})
    (row,) = likelihood(engine, task, [record("Dialogue.")], "d" * 64, silent)
    assert row.scores == {"log_likelihood": -2.0}
    assert row.tokens == 3
