"""A workload refuses items of another kind, and its digest follows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.data.records import Choice, Record
from suture.errors import UsageError
from suture.evaluate.workload import Workload, text_digest
from suture.tasks.registry import get_task

QUESTION = Choice("q", "e", "Which?", ("a", "b"), 0)
RECORD = Record("r", "clinic", "e", "note", "", "No fever.", "test", "Apache-2.0")


def test_items_must_be_of_the_tasks_kind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kind choice must be Choice\. Got Record"):
        Workload(get_task("clinic_mcq"), [RECORD])
    with pytest.raises(UsageError, match=r"kind ifeval must be Path\. Got Record"):
        Workload(get_task("ifeval"), [RECORD])
    with pytest.raises(UsageError, match=r"kind likelihood must be Record\. Got Path"):
        Workload(get_task("clinic_likelihood"), tmp_path)
    with pytest.raises(UsageError, match="Got none"):
        Workload(get_task("clinic_mcq"), [])


def test_the_digest_follows_the_items(tmp_path: Path) -> None:
    task = get_task("clinic_mcq")
    other = Choice("q", "e", "Which?", ("a", "b"), 1)
    assert Workload(task, [QUESTION]).digest() == Workload(task, [QUESTION]).digest()
    assert Workload(task, [QUESTION]).digest() != Workload(task, [other]).digest()
    (tmp_path / "prompts.jsonl").write_text("a")
    first = Workload(get_task("ifeval"), tmp_path / "prompts.jsonl").digest()
    (tmp_path / "prompts.jsonl").write_text("b")
    assert Workload(get_task("ifeval"), tmp_path / "prompts.jsonl").digest() != first


def test_texts_are_kept_apart_in_their_digest() -> None:
    assert text_digest("ab", "c") != text_digest("a", "bc")


def test_only_tasks_that_write_take_examples() -> None:
    assert Workload(get_task("clinic_summary"), [RECORD], examples=(("Note?", "Fever."),)).examples
    with pytest.raises(UsageError, match=r"Examples are for tasks that write\. Got clinic_mcq"):
        Workload(get_task("clinic_mcq"), [QUESTION], examples=(("Which?", "a"),))
