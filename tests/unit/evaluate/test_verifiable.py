"""IFBench from the command line, where its verifiers are installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.evaluate import verifiable
from suture.evaluate.engine import Engine, Generation
from suture.evaluate.items import read_rows
from suture.evaluate.run import Workload, evaluate_model
from suture.tasks.suites import SUITE_TASKS
from suture.testing.tiny import tiny_model

ROWS = [
    {
        "key": str(k),
        "prompt": "Say it.",
        "instruction_id_list": ["count:word_count_range", "format:no_whitespace"],
        "kwargs": [{"min_words": 1, "max_words": 3}, {"min_words": None, "max_words": None}],
    }
    for k in range(2)
]


def test_prompts_are_judged_by_its_own_verifiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if problems := verifiable.problems():
        pytest.skip(f"IFBench's verifiers are not here: {problems[0]}")
    path = tmp_path / "IFBench_test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    texts = iter(["one", "one two three four five"])

    def said(self: Engine, prompts: Any, **_: Any) -> list[Generation]:
        return [Generation(next(texts), 1, "stop", 0.0) for _ in prompts]

    monkeypatch.setattr(Engine, "generate", said)
    model = tiny_model(tmp_path / "model")
    work = [Workload(SUITE_TASKS["ifbench"], path)]
    first, second = read_rows(evaluate_model(model, work, tmp_path / "r", digest="a" * 64, batch_size=1)["ifbench"])
    assert (first.scores["prompt_level_strict"], first.scores["inst_level_strict"]) == (1.0, 1.0)
    assert (second.scores["prompt_level_strict"], second.scores["inst_level_strict"]) == (0.0, 0.0)
    assert [first.item_id, second.item_id] == ["0", "1"]
