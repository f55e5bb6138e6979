"""Reads MTS-Dialog (dialogue to note section) from its official CSV files."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

from suture.data.records import Record
from suture.errors import BadInputError, Problem, UsageError, refuse

FILES = {
    "train": "MTS-Dialog-TrainingSet.csv",
    "validation": "MTS-Dialog-ValidationSet.csv",
    "test1": "MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv",
    "test2": "MTS-Dialog-TestSet-2-MEDIQA-Sum-2023.csv",
}
COLUMNS = ("ID", "section_header", "section_text", "dialogue")
SOURCE = "https://github.com/abachaa/MTS-Dialog"


def read_mts_dialog(folder: Path, split: str) -> list[Record]:
    """Read one split ("train", "validation", "test1", "test2") of the folder `Main-Dataset`, in the file's order.

    input is the dialogue, target the section's text, section its header, encounter the record's own id (a row is a
    visit). Line ends inside a text become "\\n". Raises UsageError for an unknown split, and BadInputError with every
    problem of the file: missing, not UTF-8, broken CSV, columns missing, a row of another length, an empty or repeated
    ID, an empty text. No message quotes the data.
    """
    if split not in FILES:
        raise UsageError(Problem(f"The split must be one of {', '.join(FILES)}.", split))
    path = folder / FILES[split]
    rows = _rows(path)
    problems = [fault for number, row in enumerate(rows, start=1) for fault in _faults(row, f"{path}, row {number}")]
    counts = Counter(row["ID"] for row in rows if row["ID"])
    repeated = sum(count - 1 for count in counts.values())
    if repeated:
        problems.append(Problem("IDs must be unique.", f"{repeated} repeated", str(path), "Rename or remove them."))
    refuse(BadInputError, problems)
    return [
        Record(
            id=f"mts_dialog-{split}-{row['ID']}",
            source="mts_dialog",
            encounter=f"mts_dialog-{split}-{row['ID']}",
            section=row["section_header"],
            input=row["dialogue"],
            target=row["section_text"],
            split=split,
            licence="CC BY 4.0",
        )
        for row in rows
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows with tidied cells; a row's key "" says what is wrong with its number of cells, or nothing."""
    if not path.is_file():
        advice = f"Clone {SOURCE} and give the path of its Main-Dataset."
        raise BadInputError(Problem("The data file must exist.", "no such file", str(path), advice))
    again = "Download the file again."
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        rows = list(reader)
    except UnicodeDecodeError as error:
        got = f"an invalid byte at offset {error.start}"
        raise BadInputError(Problem("The file must be UTF-8.", got, str(path), again)) from None
    except csv.Error:
        raise BadInputError(Problem("The file must be valid CSV.", "broken quoting", str(path), again)) from None
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        must = f"The file must have the columns {', '.join(COLUMNS)}."
        raise BadInputError(Problem(must, f"none called {', '.join(missing)}", str(path)))
    return [{column: _tidy(row[column]) for column in COLUMNS} | {"": _length(row)} for row in rows]


def _faults(row: dict[str, str], where: str) -> list[Problem]:
    empty = [column for column in COLUMNS if not row[column]]
    faults = [Problem("A row must have one cell a column.", row[""], where)] if row[""] else []
    if empty:
        faults.append(Problem("No cell may be empty.", f"empty {', '.join(empty)}", where))
    return faults


def _length(row: dict[Any, Any]) -> str:
    return "more cells" if None in row else "fewer cells" if None in row.values() else ""


def _tidy(cell: str | None) -> str:
    return "\n".join((cell or "").strip().splitlines())
