"""The report in the terminal: the finding, then the tables of scores, verdicts, planning and realised coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from suture.report.compact import compact_tables, noise_table
from suture.report.contrasts import recovered_table
from suture.report.curves import curve_table, parity_table
from suture.report.data import ReportData
from suture.report.finding import headline
from suture.report.labels import NARROW
from suture.report.overview import is_broad, overview_tables, rest_line
from suture.report.table import Cell, Table
from suture.report.tables import (
    description_tables,
    margin_lines,
    planning_table,
    realised_table,
    score_table,
    verdict_table,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

READING = (
    "Differences are model − parent, paired by item, with 95 % intervals; n: items, or items/clusters. p tests no "
    "difference; below it Holm within the primary family, Benjamini-Hochberg (BH) within the rest. Detects: the "
    "smallest difference found, and margin proven, at 80 % power at this n. Lost, gained: shares of items 1→0 and 0→1; "
    "adj.: what of them is more than guessing explains. Below a verdict: p of a loss of the margin or more, and Holm's."
)
NARROW_COLUMNS = 6  # of intervals that fit beside one another
WIDE = 7  # columns from which on a table is drawn without padding
STYLES = {"kept": "green", "forgotten": "bold red", "open": "yellow", "mute": "dim", "warn": "bold yellow"}


def comparison_table(data: ReportData) -> RenderableType:
    """Return everything that the terminal shows of a finished study, readable from 100 columns on."""
    from rich.console import Group
    from rich.text import Text

    found = headline(data)
    judged = (score_table(data), verdict_table(data), curve_table(data), parity_table(data))
    tables = (*judged, *description_tables(data), noise_table(data), planning_table(data), realised_table(data))
    return Group(
        Text(data.title, "bold"),
        *([Text("Synthetic records, fictional patients.", "italic")] if data.synthetic else []),
        Text(found.sentence if found else data.gate.sentence),
        *(draw(part) for table in tables if table.rows for part in _narrow(table)),
    )


def contrast_tables(data: ReportData, *, every: bool = False) -> RenderableType:
    """Return what the terminal shows of a comparison alone: scores beside their floors, contrasts, shares, noise.

    Of many tasks it is an overview of their primary metrics, unless `every` metric is wanted.
    """
    from rich.console import Group
    from rich.text import Text

    overview = is_broad(data) and not every
    if overview:
        tables = [*overview_tables(data), noise_table(data)]
    else:
        scores = [score_table(data)] if data.comparison.axes else []
        contrasts = [*compact_tables(data), recovered_table(data), noise_table(data)]
        tables = [*scores, *description_tables(data), *contrasts]
    lines = [f"Margin of {what}: {why}" for what, why in margin_lines(data)]
    lines += [rest_line(data)] if overview else data.comparison.notes
    return Group(
        *(draw(part) for table in tables if table.rows for part in _narrow(table)),
        *([] if overview else [Text(READING)]),
        *(Text(f"- {line}") for line in lines),
    )


def draw(table: Table) -> RenderableType:
    """Draw one neutral table with rich; a model's name is not repeated in the rows below it."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=f"\n{table.title}",
        caption=table.caption,
        box=box.SIMPLE_HEAD,
        title_style="bold",
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        padding=(0, 0) if len(table.columns) >= WIDE else (0, 1),
    )
    for index, column in enumerate(table.columns):
        numbers = any(row.cells[index].number for row in table.rows)
        drawn.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for index, row in enumerate(table.rows):
        repeated = index > 0 and row.model != "" and table.rows[index - 1].model == row.model
        cells = [_text(cell) for cell in row.cells]
        drawn.add_row(*([Text("")] if repeated else cells[:1]), *cells[1:])
    return drawn


def _narrow(table: Table) -> Iterator[Table]:
    """Cut a table whose cells carry intervals into parts that fit, the first column in each."""
    wide = (
        len(table.columns) > NARROW_COLUMNS
        and any(cell.details for row in table.rows for cell in row.cells[1:])
        and all(cell.number for row in table.rows for cell in row.cells[1:])
    )
    if not wide:
        yield table
        return
    for start in range(1, len(table.columns), NARROW_COLUMNS - 1):
        stop = start + NARROW_COLUMNS - 1
        rows = tuple(replace(row, cells=(row.cells[0], *row.cells[start:stop])) for row in table.rows)
        caption = table.caption if stop >= len(table.columns) else ""
        title = table.title if start == 1 else f"{table.title}, continued"
        yield Table(title, caption, (table.columns[0], *table.columns[start:stop]), rows)


def _text(cell: Cell) -> Text:
    """Cell as text; narrow spaces go, so that a line breaks before an interval and never within it."""
    from rich.text import Text

    text = Text(cell.text.replace(NARROW, ""), STYLES.get(cell.tone, ""))
    for line in cell.details:
        text.append(f"\n{line.replace(NARROW, '')}", "")
    return text
