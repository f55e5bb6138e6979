"""The A/A row: flips and differences of the same weights run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.compare.replicate import contrast_replicates
from suture.errors import IncompatibleError
from suture.evaluate.items import ItemRow, write_rows


def write(folder: Path, digest: str, answers: list[tuple[str, float]]) -> Path:
    rows = [
        ItemRow(digest, "quiz", f"q{i}", f"q{i}", "p", response=text, scores={"right": value})
        for i, (text, value) in enumerate(answers)
    ]
    write_rows(folder / "quiz", rows, {})
    return folder


def test_flips_of_scores_and_answers(tmp_path: Path) -> None:
    first = write(tmp_path / "one", "d", [("a", 1.0), ("b", 0.0), ("c", 1.0), ("d", 0.0)])
    second = write(tmp_path / "two", "d", [("a", 1.0), ("B", 1.0), ("C", 1.0), ("d", 0.0)])
    right, same = contrast_replicates(first, second, against="general")
    assert (right.model, right.against, right.metric, right.verdict) == ("A/A", "general", "right", "descriptive")
    assert (right.forgotten, right.gained, right.difference) == (0.0, 0.25, 0.25)
    assert (same.metric, same.forgotten, same.gained) == ("same_response", 0.5, 0.0)
    assert same.forgotten_items == ("q1", "q2")


def test_a_task_without_written_answers_has_no_flip_row(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", "d", [("", 0.3), ("", 0.4)])
    assert [row.metric for row in contrast_replicates(folder, folder, against="general")] == ["right"]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, name, [("a", 1.0)]) for name in ("one", "two"))
    with pytest.raises(IncompatibleError, match="itself"):
        contrast_replicates(first, second, against="general")


def test_a_score_of_which_less_is_better_has_a_flip_rate_too(tmp_path: Path) -> None:
    for name, flipped in (("one", 0.0), ("two", 1.0)):
        rows = [
            ItemRow("d", "quiz", f"q{i}", f"q{i}", "p", scores={"refusal": flipped if i == 0 else 0.0})
            for i in range(4)
        ]
        write_rows(tmp_path / name / "quiz", rows, {})
    (row,) = contrast_replicates(tmp_path / "one", tmp_path / "two", against="general")
    assert (row.metric, row.flip_rate) == ("refusal", 0.25)
    assert row.flip_interval.low > 0
    assert row.forgotten != row.forgotten  # neither lost nor gained, where 1 is no success
