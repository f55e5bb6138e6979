"""Texts to calibrate on: one of each line of a JSON-lines file, as token ids. No error says what a line holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, Problem, refuse

SHOWN = 8


def read_texts(file: Path, fields: Sequence[str]) -> list[str]:
    """Read one text a line of a JSON-lines file. Raises BadInputError naming lines, never their content."""
    if not file.is_file():
        raise BadInputError(
            Problem("Texts must be a file of JSON lines.", "no such file", str(file), "Check the path.")
        )
    texts: list[str] = []
    problems: list[Problem] = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(Problem("A line must be a JSON object.", "unreadable JSON", where))
            continue
        parts = [entry.get(field) if isinstance(entry, dict) else None for field in fields]
        if not all(isinstance(part, str) for part in parts):
            lacking = [repr(f) for f, part in zip(fields, parts, strict=True) if not isinstance(part, str)]
            got = f"no text under {', '.join(lacking)}"
            problems.append(Problem("A line must hold the fields asked for.", got, where, "Name them with --field."))
            continue
        texts.append("\n".join(str(part) for part in parts))
    if not texts and not problems:
        problems.append(Problem("There must be texts.", "an empty file", str(file)))
    refuse(BadInputError, problems[:SHOWN])
    return texts


def token_rows(tokenizer: Any, texts: Sequence[str], data: Path, *, length: int, device: str) -> list[Any]:
    """Return the ids of each text as a tensor on `device`, cut to `length`. Raises BadInputError for single tokens."""
    import torch

    rows = []
    problems = []
    for number, text in enumerate(texts, 1):
        ids = tokenizer(text, truncation=True, max_length=length)["input_ids"]
        if len(ids) < 2:
            problems.append(Problem("A text must have 2 tokens or more.", f"{len(ids)} in text {number}", str(data)))
        rows.append(torch.tensor(ids, device=device))
    refuse(BadInputError, problems[:SHOWN])
    return rows
