"""Reads MTS-Dialog (dialogue to note section) from its official CSV files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

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

    input is the dialogue, target the section's text, section its header, encounter its own id (a row is a visit). Line ends inside a
    text become "\\n". Raises UsageError for an unknown split, and BadInputError with every problem of the file: missing,
    not UTF-8, columns missing, an empty or repeated ID, an empty text. No message quotes the data.
    """
    if split not in FILES:
        raise UsageError(Problem(f"The split must be one of {', '.join(FILES)}.", split))
    path = folder / FILES[split]
    if not path.is_file():
        advice = f"Clone {SOURCE} and give the path of its Main-Dataset."
        raise BadInputError(Problem("The data file must exist.", "no such file", str(path), advice))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(
            Problem(
                "The file must be UTF-8.", f"an invalid byte at offset {error.start}", str(path), "Download it again."
            )
        ) from None
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
    except csv.Error:
        raise BadInputError(
            Problem("The file must be valid CSV.", "broken quoting", str(path), "Download it again.")
        ) from None
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        must = f"The file must have the columns {', '.join(COLUMNS)}."
        raise BadInputError(Problem(must, f"none called {', '.join(missing)}", str(path)))
    records: list[Record] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        where = f"{path}, record {number}"
        cells = {column: "\n".join((row[column] or "").strip().splitlines()) for column in COLUMNS}
        empty = [column for column in COLUMNS if not cells[column]]
        if empty:
            problems.append(Problem("No cell may be empty.", f"empty {', '.join(empty)}", where))
        elif cells["ID"] in seen:
            problems.append(Problem("IDs must be unique.", "a repeated ID", where, "Rename or remove one of them."))
        seen.add(cells["ID"])
        records.append(
            Record(
                id=f"mts_dialog-{split}-{cells['ID']}",
                source="mts_dialog",
                encounter=f"mts_dialog-{split}-{cells['ID']}",
                section=cells["section_header"],
                input=cells["dialogue"],
                target=cells["section_text"],
                split=split,
                licence="CC BY 4.0",
            )
        )
    refuse(BadInputError, problems)
    return records
