"""Visits and questions: ACI-BENCH (full note and four divisions), MTS-Dialog, PriMock57, MeQSum."""

from __future__ import annotations

import re
from pathlib import Path

from suture.data.mts_dialog import read_mts_dialog
from suture.data.readers.divisions import divide
from suture.data.records import Record
from suture.data.source import Files
from suture.data.tables import read_json, read_rows, read_text, tidy
from suture.errors import BadInputError, Problem

CC_BY = "CC BY 4.0"
FULL = "full"


def mts_dialog(files: Files, split: str) -> list[Record]:
    """Read one split of MTS-Dialog: dialogue -> section."""
    return read_mts_dialog(files[split].parent, split)


def aci_bench(files: Files, split: str) -> list[Record]:
    """Read one split of ACI-BENCH: five records a visit, dialogue -> full note and each division that the note has.

    section is "full" or the division; a division that a note lacks has no record.
    """
    records = []
    for row in read_rows(files[split], ("dataset", "encounter_id", "dialogue", "note")):
        dialogue, note = tidy(row["dialogue"]), tidy(row["note"])
        for section, text in {FULL: note, **divide(note)}.items():
            encounter = f"aci_bench-{split}-{tidy(row['encounter_id'])}"
            records.append(
                Record(f"{encounter}-{section}", "aci_bench", encounter, section, dialogue, text, split, CC_BY)
            )
    return records


def primock57(files: Files, split: str) -> list[Record]:
    """Read PriMock57: consultation -> the general practitioner's note.

    From JSON lines (id, dialogue, note), or from the authors' folders `notes` (JSON) and `transcripts` (TextGrid).
    """
    if "table" in files:
        rows = read_rows(files["table"], ("id", "dialogue", "note"))
    elif "transcripts" not in files:
        where = str(files["notes"].parent)
        raise BadInputError(Problem("The folder transcripts must stand beside notes.", "no such folder", where))
    else:
        rows = [_consultation(path, files["transcripts"]) for path in sorted(files["notes"].glob("*.json"))]
    return [
        Record(name, "primock57", name, "note", tidy(row["dialogue"]), tidy(row["note"]), split, CC_BY)
        for row in rows
        for name in (f"primock57-{tidy(row['id'])}",)
    ]


def meqsum(files: Files, split: str) -> list[Record]:
    """Read MeQSum: a consumer's health question -> its short form, from a table with File, CHQ, Summary."""
    records = []
    for row in read_rows(files["table"], ("File", "CHQ", "Summary")):
        name = f"meqsum-{tidy(row['File'])}"
        text, summary = tidy(row["CHQ"]), tidy(row["Summary"])
        records.append(Record(name, "meqsum", name, "question", text, summary, split, "as its authors publish it"))
    return records


def _consultation(note: Path, transcripts: Path) -> dict[str, str]:
    turns: list[tuple[float, str, str]] = []
    for speaker in ("doctor", "patient"):
        path = transcripts / f"{note.stem}_{speaker}.TextGrid"
        if not path.is_file():
            raise BadInputError(Problem("Each consultation needs two transcripts.", "no such file", str(path)))
        turns += [(start, speaker.capitalize(), text) for start, text in _text_grid(path)]
    dialogue = "\n".join(f"{speaker}: {text}" for _, speaker, text in sorted(turns))
    return {"id": note.stem, "dialogue": dialogue, "note": str(read_json(note).get("note", ""))}


def _text_grid(path: Path) -> list[tuple[float, str]]:
    """Return (start in seconds, text) of the spoken intervals of a Praat TextGrid in its long form."""
    intervals = re.findall(r'xmin = ([\d.]+)\s*\n\s*xmax = [\d.]+\s*\n\s*text = "((?:[^"]|"")*)"', read_text(path))
    cleaned = ((float(start), re.sub(r"<[^>]*>", " ", text.replace('""', '"'))) for start, text in intervals)
    return [(start, " ".join(text.split())) for start, text in cleaned if text.strip()]
