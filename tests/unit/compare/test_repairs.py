"""What the repair of IFEval's verdicts changes in a comparison: a sentence a task, turned verdicts, no new family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from suture.compare.compare import compare
from suture.compare.verdicts import Comparison, Margin
from suture.evaluate.items import ItemRow, write_rows
from suture.tasks.ifeval import LEVELS

N = 40
MARGIN = Margin("instruction", "ifeval", "prompt_level_strict", 0.1, "agreed")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(label: str, *, wrong: int = 0, repaired: int = 0) -> Path:
        """Results that fail the first `wrong` prompts, and `repaired` more by the repaired verdicts."""
        rows = []
        for i in range(N):
            published, mended = float(i >= wrong), float(i >= wrong + repaired)
            scores = dict.fromkeys(LEVELS, published) | {f"{level}_repaired": mended for level in LEVELS}
            rows.append(ItemRow(label, "ifeval", f"q{i}", f"q{i}", f"p{i}", scores=scores))
        write_rows(tmp_path / label / "ifeval", rows, {})
        return tmp_path / label

    return write


def run(general: Path, merge: Path, clinical: Path | None = None) -> Comparison:
    parents = {"general": general} | ({"clinical": clinical} if clinical else {})
    return compare({**parents, "merge": merge}, against=list(parents), margins=[MARGIN])


def test_agreement_is_said_too(write: Write) -> None:
    found = run(write("general"), write("merge"))
    assert f"ifeval: published and repaired verdicts agree on all {N} prompts of every model." in found.notes


def test_models_that_were_not_judged_both_ways_are_not_claimed(write: Write, tmp_path: Path) -> None:
    older = [ItemRow("old", "ifeval", f"q{i}", f"q{i}", f"p{i}", scores=dict.fromkeys(LEVELS, 1.0)) for i in range(N)]
    write_rows(tmp_path / "old" / "ifeval", older, {})
    found = run(write("general"), tmp_path / "old")
    assert f"ifeval: published and repaired verdicts agree on all {N} prompts of general." in found.notes


def test_a_verdict_that_the_repair_would_turn_is_named(write: Write) -> None:
    found = run(write("general"), write("merge", repaired=12))
    assert found.notes[:2] == (
        f"ifeval: published and repaired verdicts differ on some of {N} prompts (merge 12).",
        "ifeval prompt_level_strict, merge against general: kept as published, forgotten by the repaired verdicts.",
    )
    row = found.contrast("merge", "general", "ifeval", "prompt_level_strict")
    assert row is not None
    assert row.verdict == "kept"  # the declared metric is the published one


def test_repaired_scores_join_no_family_and_have_no_recovered_share(write: Write) -> None:
    found = run(write("general"), write("merge", wrong=3, repaired=2), write("clinical", wrong=9))
    repaired = [row for row in found.contrasts if row.metric.endswith("_repaired")]
    assert repaired
    assert {row.family for row in repaired} == {"none"}
    assert not any(row.metric.endswith("_repaired") for row in found.recovered)
    row = found.contrast("merge", "general", "ifeval", "prompt_level_strict_repaired")
    assert row is not None
    assert row.difference == pytest.approx(-5 / N)
    score = found.score("merge", "ifeval", "prompt_level_strict_repaired")
    assert score is not None
    assert score.value == pytest.approx(1 - 5 / N)


def test_results_without_repaired_scores_have_no_sentence(tmp_path: Path) -> None:
    for label in ("general", "merge"):
        rows = [ItemRow(label, "quiz", f"q{i}", f"q{i}", f"p{i}", scores={"right": float(i % 2)}) for i in range(4)]
        write_rows(tmp_path / label / "quiz", rows, {})
    found = compare({"general": tmp_path / "general", "merge": tmp_path / "merge"}, against=["general"])
    assert not any("repaired" in note for note in found.notes)
