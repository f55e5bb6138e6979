"""IFEval judged as published and repaired: both scores on an item, which items differ, and what a file keeps of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from suture.evaluate import ifeval, ifeval_rules, repaired
from suture.evaluate.engine import Generation
from suture.evaluate.items import ItemRow, read_rows, write_rows
from suture.evaluate.verdicts import Instructions
from suture.tasks.registry import get_task
from suture.tasks.suites import SUITE_TASKS

LOWER = ("change_case:english_lowercase",)
COMMA = ("punctuation:no_comma",)


def judged(task: str = "ifeval") -> list[ItemRow]:
    """One answer that langdetect's first draw alone calls English, one that all draws do."""
    items = [
        Instructions("short", "p", (*LOWER, *COMMA), ({}, {})),
        Instructions("long", "p", (*LOWER, *COMMA), ({}, {})),
    ]
    answers = ["mild distress.", "the patient is well and goes home with his wife, as planned."]
    given = [Generation(text, 1, "stop", 0.0) for text in answers]
    known = {**SUITE_TASKS}[task]
    return ifeval.judge_items(items, ifeval_rules.verifiers(), known, "d", given)


def test_an_answer_whose_language_hangs_on_the_draw_is_scored_both_ways() -> None:
    short, long = (row.scores for row in judged())
    assert (short["prompt_level_strict"], short["prompt_level_strict_repaired"]) == (1.0, 0.0)
    assert (short["inst_level_strict"], short["inst_level_strict_repaired"]) == (1.0, 0.5)
    assert (long["inst_level_strict"], long["inst_level_strict_repaired"]) == (0.5, 0.5)  # it has a comma


def test_each_instruction_keeps_its_published_and_repaired_verdict() -> None:
    first, second = json.loads(judged()[0].verdicts)
    assert (first["instruction"], first["strict"], first["strict_repaired"], first["drawn"]) == (
        *LOWER,
        True,
        False,
        True,
    )
    assert (second["strict"], second["loose_repaired"], second["drawn"]) == (True, True, False)


def test_the_difference_names_the_items_and_both_means() -> None:
    found = repaired.difference(judged())
    assert found is not None
    assert (found.n, found.items, found.instructions, found.drawn) == (2, ("short",), 4, 1)
    assert found.published["prompt_level_strict"] == 0.5
    assert found.repaired["prompt_level_strict"] == 0.0
    assert found.accuracy["inst_level_strict"] == 0.75  # three of the four instructions
    assert found.accuracy["inst_level_strict_repaired"] == 0.5
    meta = repaired.as_meta(found)
    assert meta["items"] == ["short"]
    assert meta["scores"]["inst_level_strict"] == {"published": 0.75, "repaired": 0.5}


def test_the_published_score_stays_primary_and_ifbench_has_nothing_to_repair() -> None:
    assert get_task("ifeval").primary == "prompt_level_strict"
    rows = judged("ifbench")
    assert not any(map(repaired.is_repaired, rows[0].scores))
    assert set(json.loads(rows[0].verdicts)[0]) == {"instruction", "strict", "loose"}
    assert repaired.difference(rows) is None


def test_signatures_say_which_is_which() -> None:
    found = ifeval.signatures(("prompt_level_loose", "prompt_level_loose_repaired"))
    assert found["prompt_level_loose_repaired"] == f"{found['prompt_level_loose']}; {repaired.HOW}"
    assert "repaired" not in found["prompt_level_loose"]


def test_only_levels_are_repaired() -> None:
    assert repaired.is_repaired("inst_level_loose_repaired")
    assert not repaired.is_repaired("inst_level_loose")
    assert not repaired.is_repaired("accuracy_repaired")


def test_verdicts_are_kept_and_results_of_before_are_still_read(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = judged()
    write_rows(tmp_path / "ifeval", rows, {})
    assert read_rows(tmp_path / "ifeval") == rows
    path = tmp_path / "ifeval" / "items.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["verdicts"]), path)
    assert read_rows(tmp_path / "ifeval") == [replace(row, verdicts="") for row in rows]


@pytest.mark.parametrize("part", ["strict", "loose"])
def test_levels_by_hand(part: str) -> None:
    from suture.evaluate.verdicts import Judged, Verdict

    yes, no = Judged(True, True, True, True), Judged(False, False, False, False)
    found = repaired.levels([Verdict("a", yes, yes), Verdict("b", no, no)], "published")
    assert (found[f"prompt_level_{part}"], found[f"inst_level_{part}"]) == (0.0, 0.5)


def test_instruction_level_accuracy_weighs_a_prompt_by_its_instructions() -> None:
    items = [Instructions("a", "p", COMMA, ({},)), Instructions("b", "p", COMMA * 3, ({}, {}, {}))]
    given = [Generation(text, 1, "stop", 0.0) for text in ("no comma", "a, comma")]
    rows = ifeval.judge_items(items, ifeval_rules.verifiers(), get_task("ifeval"), "d", given)
    found = repaired.difference(rows)
    assert found is not None
    assert found.published["inst_level_strict"] == 0.5
    assert found.accuracy["inst_level_strict"] == 0.25
    assert repaired.as_meta(found)["share of all instructions"]["inst_level_loose_repaired"] == 0.25
