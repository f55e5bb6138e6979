"""Rows of the files in which data sets are published: CSV (also .gz), JSON lines, one JSON document, Parquet.

A file that cannot be read is named with the reason; no message quotes what stands in it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, MissingExtraError, Problem, refuse

Row = dict[str, Any]
AGAIN = "Download the file again, or convert it to UTF-8."


def read_rows(path: Path, columns: Sequence[str] = ()) -> list[Row]:
    """Return the rows of a table by its suffix: .csv, .csv.gz, .jsonl, .json (a list, or one object a line), .parquet.

    columns must be present. Raises BadInputError for a missing, malformed or differently encoded file.
    """
    if not path.is_file():
        raise BadInputError(Problem("The data file must exist.", "no such file", str(path), "Check the path."))
    name = path.name.removesuffix(".gz")
    if name.endswith(".csv"):
        return _csv(path, columns)
    rows = _parquet(path) if name.endswith(".parquet") else _json(path)
    return _checked(path, rows, columns)


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, gzipped where its name ends in .gz; raises BadInputError otherwise."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"an invalid byte at offset {error.start}"
        raise BadInputError(Problem("The file must be UTF-8.", got, str(path), AGAIN)) from None
    except (OSError, EOFError) as error:
        got = type(error).__name__
        raise BadInputError(Problem("The file must be readable.", got, str(path), AGAIN)) from None


def read_json(path: Path) -> Any:
    """Return the value of one JSON document."""
    if not path.is_file():
        raise BadInputError(Problem("The data file must exist.", "no such file", str(path), "Check the path."))
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        got = f"invalid JSON at line {error.lineno}, column {error.colno}"
        raise BadInputError(Problem("The file must be valid JSON.", got, str(path), AGAIN)) from None


def tidy(cell: Any) -> str:
    """Return a cell as text without space around it, its line ends as "\\n"."""
    return "\n".join(str("" if cell is None else cell).strip().splitlines())


def _csv(path: Path, columns: Sequence[str]) -> list[Row]:
    before = csv.field_size_limit(sys.maxsize)  # a discharge summary is longer than the library's limit of 128 KiB
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
        rows: list[Row] = list(reader)
    except csv.Error:
        raise BadInputError(Problem("The file must be valid CSV.", "broken quoting", str(path), AGAIN)) from None
    finally:
        csv.field_size_limit(before)
    _require(path, reader.fieldnames or (), columns)
    problems = [
        Problem(
            "A row must have one cell a column.", "more cells" if None in row else "fewer cells", f"{path}, row {n}"
        )
        for n, row in enumerate(rows, start=1)
        if None in row or None in row.values()
    ]
    refuse(BadInputError, problems)
    return rows


def _json(path: Path) -> list[Row]:
    text = read_text(path)
    if text.lstrip().startswith("["):
        rows = read_json(path)
        if all(isinstance(row, dict) for row in rows):
            return list(rows)
        raise BadInputError(Problem("The file must be a list of objects.", "another value", str(path)))
    rows, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand inside a string
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            row, got = None, f"invalid JSON at column {error.colno}"
        else:
            got = type(row).__name__
        if isinstance(row, dict):
            rows.append(row)
        else:
            problems.append(Problem("Each line must be one JSON object.", got, f"{path}, line {number}"))
    refuse(BadInputError, problems[:10])
    return rows


def _parquet(path: Path) -> list[Row]:
    try:
        import pyarrow
        import pyarrow.parquet as pq
    except ImportError:
        advice = "Run: pip install 'suture[eval]'"
        raise MissingExtraError(Problem("Parquet needs pyarrow.", "no such package", str(path), advice)) from None
    try:
        return list(pq.read_table(path).to_pylist())
    except pyarrow.ArrowInvalid:
        raise BadInputError(Problem("The file must be valid Parquet.", "another format", str(path), AGAIN)) from None


def _checked(path: Path, rows: list[Row], columns: Sequence[str]) -> list[Row]:
    if not rows:
        raise BadInputError(Problem("The file must have rows.", "none", str(path), AGAIN))
    for number, row in enumerate(rows, start=1):
        missing = [column for column in columns if column not in row]
        if missing:
            got = f"none called {', '.join(missing)}"
            raise BadInputError(Problem(f"Rows must have {', '.join(columns)}.", got, f"{path}, row {number}"))
    return rows


def _require(path: Path, found: Sequence[str], columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in found]
    if missing:
        must = f"The file must have the columns {', '.join(columns)}."
        raise BadInputError(Problem(must, f"none called {', '.join(missing)}", str(path)))
