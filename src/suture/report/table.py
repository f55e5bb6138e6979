"""A table as neutral rows of cells, which the terminal and the HTML page both draw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. tone: "", "kept", "forgotten", "open", "mute", "warn" or "code"; details: lines below the text."""

    text: str
    tone: str = ""
    number: bool = False
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row; model is the label that it speaks of, "" where it speaks of none."""

    cells: tuple[Cell, ...]
    model: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption of one sentence that says how to read it."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
