"""IFEval over files: the four scores by hand, per-instruction verdicts, repaired ones, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.errors import BadInputError
from suture.evaluate.scoring.score import score_file

PROMPTS: list[dict[str, Any]] = [
    {"key": 1, "prompt": "One.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    {
        "key": 2,
        "prompt": "Two.",
        "instruction_id_list": ["detectable_format:title", "length_constraints:number_words", "punctuation:no_comma"],
        "kwargs": [{}, {"relation": "at least", "num_words": 3}, {"unused": None}],
    },
    {"key": 3, "prompt": "Three.", "instruction_id_list": ["change_case:english_lowercase"], "kwargs": [{}]},
]
ANSWERS = {1: "Sure, here:\nthe answer", 2: "<<t>> one, two", 3: "lungs clear."}


def written(folder: Path, answers: list[dict[str, Any]], prompts: list[dict[str, Any]] = PROMPTS) -> tuple[Path, Path]:
    given, asked = folder / "answers.jsonl", folder / "prompts.jsonl"
    given.write_text("\n".join(map(json.dumps, answers)))
    asked.write_text("\n".join(map(json.dumps, prompts)))
    return given, asked


def by_key(answers: dict[int, str]) -> list[dict[str, Any]]:
    return [{"key": key, "response": text} for key, text in answers.items()]


def test_scores_and_verdicts_by_hand(tmp_path: Path) -> None:
    scored = score_file("ifeval", *written(tmp_path, by_key(ANSWERS)))
    one, two, three = scored.items
    assert (one["strict"], one["loose"]) == ([False], [True])
    assert (two["strict"], two["loose"]) == ([True, True, False], [True, True, False])
    assert two["instruction_id_list"] == PROMPTS[1]["instruction_id_list"]
    assert three["drawn"] == [True]  # its language changes from draw to draw
    values = {name: score.value for name, score in scored.scores.items()}
    third = three["strict"][0]
    assert values["prompt_level_strict"] == pytest.approx(100 * third / 3)
    assert values["inst_level_strict"] == pytest.approx(100 * (2 + third) / 5)  # of all instructions, not of prompts
    assert values["prompt_level_loose"] == pytest.approx(100 * (1 + three["loose"][0]) / 3)
    assert values["inst_level_loose"] == pytest.approx(100 * (3 + three["loose"][0]) / 5)
    low, high = scored.scores["inst_level_strict"].range or (0.0, 0.0)
    assert (low, high) == (pytest.approx(40.0), pytest.approx(60.0))
    assert low <= values["inst_level_strict_repaired"] <= high
    assert scored.about == {"instructions": 5, "drawn": 1, "approximate": 0}


def test_the_same_file_gives_the_same_numbers(tmp_path: Path) -> None:
    files = written(tmp_path, by_key(ANSWERS))
    assert score_file("ifeval", *files) == score_file("ifeval", *files)


def test_a_prompt_without_response_is_not_followed(tmp_path: Path) -> None:
    scored = score_file("ifeval", *written(tmp_path, by_key({1: "fine"})))
    assert (scored.n, scored.missing) == (3, 2)
    assert scored.items[1] == {**scored.items[1], "missing": True, "strict": [False] * 3, "loose": [False] * 3}
    assert scored.scores["inst_level_loose"].value == pytest.approx(100 / 5)


def test_a_file_in_the_authors_form_is_matched_by_prompt(tmp_path: Path) -> None:
    answers = [{"prompt": row["prompt"], "response": ANSWERS[row["key"]]} for row in PROMPTS]
    by_prompt = score_file("ifeval", *written(tmp_path, answers))
    assert by_prompt.scores == score_file("ifeval", *written(tmp_path, by_key(ANSWERS))).scores


def test_an_answer_to_another_text_of_its_prompt_is_named(tmp_path: Path) -> None:
    answers = by_key(ANSWERS)
    answers[1]["prompt"] = "Two, in another wording."
    assert "line 2" in score_file("ifeval", *written(tmp_path, answers)).warnings[0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"instruction_id_list": ["punctuation:none"]}, "unknown instruction 'punctuation:none'"),
        ({"kwargs": []}, "another form"),
        ({"kwargs": [{"foo": 1}]}, "kwargs that do not fit"),
        ({"instruction_id_list": ["combination:repeat_prompt"]}, "kwargs that do not fit"),
        ({"instruction_id_list": [], "kwargs": []}, "another form"),
    ],
)
def test_bad_prompts_are_named_before_anything_is_judged(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    files = written(tmp_path, by_key(ANSWERS), [PROMPTS[1], {**PROMPTS[0], **change}, PROMPTS[2]])
    with pytest.raises(BadInputError, match=what) as error:
        score_file("ifeval", *files)
    assert "prompts.jsonl, line 2" in str(error.value)


def test_duplicate_keys_of_both_files_are_named(tmp_path: Path) -> None:
    files = written(tmp_path, [*by_key(ANSWERS), {"key": "2", "response": "again"}], [*PROMPTS, PROMPTS[0]])
    what = r"prompts\.jsonl, line 4.*line 1 again.*\n.*answers\.jsonl, line 4.*line 2"
    with pytest.raises(BadInputError, match=what):
        score_file("ifeval", *files)
