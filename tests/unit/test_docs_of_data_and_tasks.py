"""Every data set, suite task and metric stands in the docs."""

from __future__ import annotations

from pathlib import Path

from suture.data.catalog import SOURCES
from suture.evaluate.textscores import NAMES
from suture.tasks.suites import SUITE_TASKS

DOCS = Path(__file__).parents[2] / "docs"


def test_every_data_set_stands_in_the_docs_with_its_credential() -> None:
    text = (DOCS / "data.md").read_text(encoding="utf-8")
    for source in SOURCES.values():
        (line,) = [line for line in text.splitlines() if line.startswith("|") and f"`{source.name}`" in line]
        assert ("PhysioNet |" in line) == bool(source.credential), source.name


def test_every_task_and_metric_stands_in_the_docs() -> None:
    text = (DOCS / "tasks.md").read_text(encoding="utf-8")
    assert [name for name in (*SUITE_TASKS, *NAMES) if f"`{name}`" not in text] == []
