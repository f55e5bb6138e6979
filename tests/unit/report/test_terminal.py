"""The terminal's tables name every model and verdict and stay within the width of the terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.console import Console

from suture.report.compact import compact_tables
from suture.report.data import ReportData
from suture.report.terminal import comparison_table


def drawn(report: ReportData, width: int) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(comparison_table(report))
    return capture.get()


@pytest.mark.parametrize("width", [100, 120])
def test_no_line_is_wider_than_the_terminal(report: ReportData, width: int) -> None:
    assert max(map(len, drawn(report, width).splitlines())) <= width


def test_models_measures_verdicts_and_finding_appear(report: ReportData) -> None:
    text = drawn(report, 120)
    for words in (
        *report.comparison.models,
        "✕ forgotten",
        "✓ kept",
        "A/A",
        "instruction",
        "At a = 0.5",
        "fictional patients",
    ):
        assert words in text
    assert "! 0.175" in text  # bf16 rounded to nearest, far off 0.25
    assert "margin 2.00" in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("width", [100, 120])
def test_an_interval_is_never_broken(report: ReportData, width: int) -> None:
    assert drawn(report, width).count("[") == len(re.findall(r"\[[^\s\]]+,[^\s\]]+\]", drawn(report, width)))


def test_a_repaired_difference_stands_below_the_published_one_where_it_is_another(report: ReportData) -> None:
    level = ("ifeval", "prompt_level_strict")
    found = report.comparison
    rows = [row for row in found.contrasts if (row.task, row.metric) == level]
    same, *others = (replace(row, metric=f"{row.metric}_repaired") for row in rows)
    moved = [replace(row, difference=row.difference - 0.01) for row in others]
    twice = replace(report, comparison=replace(found, contrasts=(*found.contrasts, same, *moved)))
    tables = [table for table in compact_tables(twice) if "passed, strict" in table.title]
    assert not any("repaired" in table.title for table in tables)
    lines = [line for table in tables for row in table.rows for cell in row.cells for line in cell.details]
    assert sum(line.startswith("repaired ") for line in lines) == len(others) > 0
