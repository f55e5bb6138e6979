"""IFEval end to end on a tiny model, against the harness's own engine, and its repeatable verdicts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from suture.checkpoint.load import load_model
from suture.errors import BadInputError
from suture.evaluate import ifeval
from suture.evaluate.engine import Engine, Generation
from suture.evaluate.items import read_rows
from suture.evaluate.run import evaluate_model
from suture.evaluate.workload import Workload
from suture.tasks.registry import get_task
from suture.testing.tiny import tiny_model

PROMPTS: list[dict[str, Any]] = [
    {"key": 1, "prompt": "Say hi. No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    {
        "key": 2,
        "prompt": "Answer in English, all lower case, at least 3 words.",
        "instruction_id_list": ["change_case:english_lowercase", "length_constraints:number_words"],
        "kwargs": [{}, {"relation": "at least", "num_words": 3}],
    },
    {
        "key": 3,
        "prompt": "Use a letter often.",
        "instruction_id_list": ["keywords:letter_frequency"],
        "kwargs": [{"let_frequency": 2, "let_relation": "at least"}],  # which letter is left open
    },
    {
        "key": 4,
        "prompt": "Highlight one section.",
        "instruction_id_list": ["detectable_format:number_highlighted_sections"],
        "kwargs": [{"num_highlights": 1}],
    },
]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(map(json.dumps, PROMPTS)))
    return path


def judged(prompts: Path, text: str) -> dict[str, dict[str, float]]:
    harness = ifeval.load_harness(prompts, None)
    rows = ifeval.judge(harness, get_task("ifeval"), "d", [Generation(text, 1, "stop", 0.0)] * len(PROMPTS))
    return {row.item_id: dict(row.scores) for row in rows}


def test_verdicts_by_hand(prompts: Path) -> None:
    scores = judged(prompts, "the patient is well, and *goes home* today")
    assert scores["1"]["prompt_level_strict"] == 0.0  # a comma
    assert scores["2"]["prompt_level_strict"] == scores["2"]["inst_level_strict"] == 1.0
    assert scores["4"]["prompt_level_strict"] == 1.0
    scores = judged(prompts, "Well, the patient\ngoes home today")
    assert scores["1"]["prompt_level_strict"] == 0.0
    assert scores["1"]["prompt_level_loose"] == 1.0  # without its first line it has no comma
    assert scores["2"]["inst_level_strict"] == 0.5  # enough words, one capital


def test_an_empty_answer_fails_everything(prompts: Path) -> None:
    assert {value for scores in judged(prompts, " ").values() for value in scores.values()} == {0.0}


def test_verdicts_repeat_and_leave_pythons_generator_alone(prompts: Path) -> None:
    random.seed(5)
    state = random.getstate()
    first = [judged(prompts, "no acute distress.") for _ in range(3)]
    assert first[0] == first[1] == first[2]
    assert random.getstate() == state


def test_end_to_end_equals_the_harness_with_its_own_engine(tmp_path: Path, prompts: Path) -> None:
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = load_model(tiny_model(tmp_path / "tiny", seed=3))
    rows = ifeval.answer(Engine(model, tokenizer), _short(), prompts, "d" * 64, None, 4, lambda _: None)
    assert [row.item_id for row in rows] == ["1", "2", "3", "4"]
    assert all(0 < row.tokens <= 8 for row in rows)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
    task = ifeval.load_harness(prompts, None)
    task.set_config("generation_kwargs", {"until": [], "do_sample": False, "max_gen_toks": 8})
    found = evaluate(harness, {"tasks": {"ifeval": task}}, apply_chat_template=True, bootstrap_iters=0)
    samples = {str(sample["doc"]["key"]): sample for sample in found["samples"]["ifeval"]}
    for row in rows:
        sample = samples[row.item_id]
        assert row.response == sample["resps"][0][0]
        assert row.scores["prompt_level_loose"] == float(sample["prompt_level_loose_acc"])


def test_prompts_as_records_are_answered_as_the_harness_has_them(tmp_path: Path, prompts: Path) -> None:
    engine = Engine(*load_model(tiny_model(tmp_path / "tiny", seed=3)))
    rows = ifeval.answer(engine, _short(), prompts, "d" * 64, None, 4, lambda _: None)
    records = ifeval.records_of(prompts)
    found = ifeval.answer_records(engine, _short(), records, "d" * 64, 4, lambda _: None)
    assert [(row.item_id, row.prompt_digest, row.response, row.scores) for row in found] == [
        (row.item_id, row.prompt_digest, row.response, row.scores) for row in rows
    ]
    (alone,) = ifeval.answer_records(engine, _short(), records[2:3], "d" * 64, 4, lambda _: None)
    assert alone.scores == rows[2].scores


def _short() -> Any:
    from dataclasses import replace

    return replace(get_task("ifeval"), max_new_tokens=8)


def test_the_limit_takes_the_first_prompts(prompts: Path) -> None:
    assert len(ifeval.load_harness(prompts, 2).instances) == ifeval.count(prompts, 2) == 2
    assert ifeval.count(prompts, None) == 4


def test_a_bad_prompts_file_names_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"key": 1}\nsecret\n' + json.dumps(PROMPTS[0]))
    with pytest.raises(BadInputError, match=r"line 1.*\n.*line 2") as error:
        ifeval.count(path, None)
    assert "secret" not in str(error.value)
    with pytest.raises(BadInputError, match="no such file"):
        ifeval.count(tmp_path / "none.jsonl", None)


def test_a_run_keeps_side_effects_beside_the_verdicts(tmp_path: Path) -> None:
    row = {"key": 7, "prompt": "Say it.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps(row) + "\n")
    model = tiny_model(tmp_path / "model")
    folder = evaluate_model(model, [Workload(get_task("ifeval"), path)], tmp_path / "r", digest="a" * 64)["ifeval"]
    (found,) = read_rows(folder)
    assert found.item_id == "7"
    assert {"prompt_level_strict", "words", "repetition", "refusal", "empty"} <= set(found.scores)
