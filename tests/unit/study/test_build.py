from __future__ import annotations

from pathlib import Path

import pytest

from suture.errors import UsageError
from suture.study.build import build
from suture.study.schema import load_study

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    path.write_text("{}\n")
    return path


def _study(prompts: Path) -> Path:
    text = (ROOT / "studies" / "smollm2.yaml").read_text()
    path = prompts.parent / "study.yaml"
    path.write_text(text.replace("ifeval: {n: 32,", f"ifeval: {{path: {prompts}, n: 32,"))
    return path


def test_the_embedded_study_is_what_it_says(prompts: Path) -> None:
    built = build(load_study(_study(prompts)))
    assert [entry.label for entry in built.entries] == [
        "ancestor", "general", "linear 0.25", "linear 0.5", "linear 0.75", "slerp 0.5", "task arithmetic", "clinical",
        "general, 16 shots", "linear 0.5, 16 shots", "A/A",
    ]  # fmt: skip
    assert set(built.planning.steps) <= set(built.opening.steps) <= set(built.graph.steps)
    assert "evaluate linear 0.5" not in built.opening.steps
    assert built.graph["merge task arithmetic"].inputs == {
        "general": "general", "clinical": "clinical", "ancestor": "ancestor",
    }  # fmt: skip


def test_no_merge_is_evaluated_where_the_gate_was_not_passed(prompts: Path) -> None:
    built = build(load_study(_study(prompts)), passed=False)
    evaluated = [entry.label for entry in built.entries if built.is_evaluated(entry)]
    assert evaluated == ["ancestor", "general", "clinical", "general, 16 shots", "A/A"]
    assert "adapt linear 0.5" not in built.graph.steps
    assert "merge linear 0.5" in built.graph.steps


def test_training_texts_do_not_depend_on_the_size_of_the_test(prompts: Path) -> None:
    built = build(load_study(_study(prompts)))
    assert built.graph["clinical"].inputs["lesson"] == "clinic lesson"
    assert built.graph["evaluate clinical"].inputs["clinic test"] == "clinic test"


def test_an_unset_variable_for_the_data_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTS_DIALOG", raising=False)
    with pytest.raises(UsageError, match="give --data"):
        build(load_study(ROOT / "studies" / "smollm2-mts.yaml"))
