from __future__ import annotations

import pytest

from suture.study.graph import Step
from suture.study.work import DEVICES, READS, STREAMS, TRAINS, Work, adapter_parameters, hours, work_of

SETTINGS = {"steps": 10, "batch": 2, "length": 100, "lora_rank": None}


def test_plain_texts_fill_every_sequence_and_records_do_not() -> None:
    texts = work_of(Step("a", "train", {"learn": "texts", "settings": SETTINGS}), {})
    records = work_of(Step("a", "adapt", {"settings": {**SETTINGS, "accumulate": 3}}), {})
    assert (texts.trained, texts.passes) == (2000, 6)
    assert records.trained == pytest.approx(0.4 * 6000)


def test_an_adapter_spares_gradients_and_checkpointing_computes_again() -> None:
    low = {**SETTINGS, "lora_rank": 8}
    assert work_of(Step("a", "adapt", {"settings": low}), {}).passes == 4
    assert work_of(Step("a", "adapt", {"settings": low | {"checkpointing": True}}), {}).passes == 6


def test_an_evaluation_reads_its_items_and_writes_a_share_of_the_limit() -> None:
    step = Step(
        "e", "evaluate", {"tasks": {"medqa": {"n": 10}, "aci_bench_subjective": {"n": 5}, "letters": {"n": None}}}
    )
    found = work_of(step, {"medqa": 0, "aci_bench_subjective": 100, "letters": 10})
    assert found.read == 10 * 260 + 5 * 1700 + 200 * 250
    assert found.written == pytest.approx(0.6 * (5 * 100 + 200 * 10))


def test_a_merge_is_no_work_of_an_accelerator() -> None:
    assert work_of(Step("m", "merge", {"merge": {}}), {}) == Work()


def test_hours_follow_operations_and_bandwidth() -> None:
    device = DEVICES["a100"]
    assert hours(Work(trained=1e9), 1e9, device, 1) == pytest.approx(6e18 / (312e12 * TRAINS) / 3600)
    assert hours(Work(read=1e9), 1e9, device, 1) == pytest.approx(2e18 / (312e12 * READS) / 3600)
    assert hours(Work(written=64e3), 1e9, device, 64) == pytest.approx(1e3 * 2e9 / (2.04e12 * STREAMS) / 3600)


def test_the_adapter_of_an_8b_model_is_guessed_within_a_factor_of_two() -> None:
    # Llama-3.1-8B, rank 256 on q, k, v, o: 32 layers of 256 (4096 + 4096 + 2 (4096 + 1024) + 4096 + 4096)
    true = 32 * 256 * (8192 + 2 * 5120 + 8192)
    assert 0.5 < adapter_parameters(8.03e9, 256, "attention") / true < 2
