"""The command line as tests call it, and a small task of one's own for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from suture.cli import main

TASK = """
name: letters
data: letters.jsonl
input: note
target: letter
prompt: "Write the letter.\\n\\n{{input}}"
metrics: [rougeL, fact_omission]
max_new_tokens: 4
"""


def run_command(*words: object) -> int:
    """Run `suture` with these words in this process; return its exit code."""
    try:
        main([str(word) for word in words])
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("the command line did not exit")


def letters_task(folder: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write the task `letters` with `rows` of note, letter and, if there are several, split; return its file."""
    (folder / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "letters.yaml"
    path.write_text(TASK + ("split: test\n" if "split" in rows[0] else ""))
    return path
