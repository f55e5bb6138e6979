"""The report as GitHub-flavoured Markdown: sentences, then every table with its caption; no text of any item."""

from __future__ import annotations

from suture.report.data import ReportData
from suture.report.document import opening_lines, tables_of
from suture.report.table import Cell, Table

_SPECIAL = "\\`*_{}[]<>|#~"


def render_markdown(data: ReportData) -> str:
    """Return the report as Markdown."""
    lines = [f"# {_escape(data.title)}", "", *(f"- {_escape(line)}" for line in opening_lines(data))]
    for table in tables_of(data):
        lines += ["", f"## {_escape(table.title)}", "", *_table(table), "", _escape(table.caption)]
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    numbers = [any(row.cells[index].number for row in table.rows) for index in range(len(table.columns))]
    return [
        f"| {' | '.join(map(_escape, table.columns))} |",
        f"|{'|'.join('---:' if number else '---' for number in numbers)}|",
        *(f"| {' | '.join(map(_cell, row.cells))} |" for row in table.rows),
    ]


def _cell(cell: Cell) -> str:
    return "<br>".join(map(_escape, (cell.text, *cell.details)))


def _escape(text: str) -> str:
    """Keep every character from being read as markup; a line end becomes a space."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in " ".join(text.split("\n")))
