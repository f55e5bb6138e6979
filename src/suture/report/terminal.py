"""The report in the terminal: the finding, then the tables of scores, verdicts, planning and realised coefficients."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from suture.report.data import ReportData
from suture.report.finding import headline
from suture.report.tables import Table, planning_table, realised_table, replicate_table, score_table, verdict_table

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {"kept": "green", "forgotten": "bold red", "open": "yellow", "mute": "dim", "warn": "bold yellow"}
_LEFT_OUT = ("smallest provable", "n")


def comparison_table(data: ReportData) -> RenderableType:
    """Return everything that the terminal shows of a finished study, readable from 100 columns on."""
    from rich.console import Group
    from rich.text import Text

    found = headline(data)
    parts: list[RenderableType] = [Text(data.title, "bold"), Text(found.sentence if found else data.gate.sentence), Text()]
    if data.synthetic:
        parts.insert(1, Text("Synthetic records, fictional patients.", "italic"))
    parts += [draw(score_table(data)), draw(verdict_table(data), without=_LEFT_OUT, group=True)]
    parts += [draw(table, without=_LEFT_OUT) for table in (replicate_table(data),) if table.rows]
    parts += [draw(table) for table in (planning_table(data), realised_table(data)) if table.rows]
    return Group(*parts)


def draw(table: Table, *, without: Collection[str] = (), group: bool = False) -> RenderableType:
    """Draw one neutral table with rich; group blanks a model's name where it repeats and rules off each model."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = [index for index, column in enumerate(table.columns) if column not in without]
    drawn = RichTable(
        title=table.title, caption=table.caption, box=box.SIMPLE_HEAD, title_style="bold", title_justify="left",
        caption_justify="left", padding=(0, 1), pad_edge=False,
    )
    for index in shown:
        numbers = any(row.cells[index].number for row in table.rows)
        drawn.add_column(table.columns[index], justify="right" if numbers else "left", vertical="top")
    last = None
    for row in table.rows:
        repeated = group and row.model == last
        if group and last is not None and not repeated:
            drawn.add_section()
        cells = [Text(row.cells[index].text, STYLES.get(row.cells[index].tone, "")) for index in shown]
        if repeated:
            cells[0] = Text("")
        drawn.add_row(*cells)
        last = row.model
    return drawn
