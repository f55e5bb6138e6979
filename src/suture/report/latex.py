"""The report as a LaTeX fragment for a paper: a float for each table (booktabs), the sentences as comments above.

Needs `\\usepackage{booktabs}` and a UTF-8 engine; marks and dashes outside ASCII are written as commands. Details of a
cell follow it in brackets, since a cell holds one line.
"""

from __future__ import annotations

from suture.report.data import ReportData
from suture.report.document import opening_lines, tables_of
from suture.report.table import Cell, Table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u202f": r"\,",
    "\u00a0": "~",
    "−": "$-$",
    "–": "--",
    "→": r"$\rightarrow$",
    "≈": r"$\approx$",
    "✓": r"$\checkmark$",
    "✕": r"$\times$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "·": r"$\cdot$",
    "\n": " ",
}


def render_latex(data: ReportData) -> str:
    """Return the report's tables as LaTeX."""
    lines = [
        "% Needs \\usepackage{booktabs}, \\usepackage{amssymb} and \\usepackage{graphicx}.",
        *(f"% {' '.join(line.split())}" for line in (data.title, *opening_lines(data))),
    ]
    for table in tables_of(data):
        lines += ["", *_table(table)]
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    numbers = [any(row.cells[index].number for row in table.rows) for index in range(len(table.columns))]
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape(table.title)}. {_escape(table.caption)}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numbers)}}}",
        r"\toprule",
        f"{' & '.join(map(_escape, table.columns))} \\\\",
        r"\midrule",
        *(f"{' & '.join(map(_cell, row.cells))} \\\\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def _cell(cell: Cell) -> str:
    details = f" ({'; '.join(map(_escape, cell.details))})" if cell.details else ""
    text = _escape(cell.text)
    return f"{{}}{text}{details}" if text.startswith("[") else f"{text}{details}"


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)
