"""The four divisions of an ACI-BENCH note, cut as its published evaluation cuts them.

Yim et al. 2023, arXiv:2306.02022; sectiontagger.py and evaluate_fullnote.py in the authors' repository wyim/aci-bench.
Where a division begins and ends is the reader's matter (`suture.data.readers.divisions`).

Three habits of that evaluation move the published numbers, and are kept: inside a division line breaks are written
`__lf1__` (so each counts as a word `lf1`, and Lsum sees one line); a division that a note lacks is the text
`#####EMPTY#####` (so two notes that both lack it agree fully); and where no note of a file has it, it is no text.
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.data.readers.divisions import DIVISIONS, cut

__all__ = ["BREAK", "DIVISIONS", "EMPTY", "are_notes", "cut", "prepare", "written"]

EMPTY = "#####EMPTY#####"
BREAK = "__lf1__"


def prepare(notes: Sequence[str], division: str) -> list[str]:
    """Return the texts that are compared: `division` of each note, as the published evaluation writes it."""
    found = [cut(note.replace(BREAK, "\n")).get(division) for note in notes]
    return written(found)


def written(found: Sequence[str | None]) -> list[str]:
    """Write divisions that are there, or None, as the published evaluation does."""
    absent = EMPTY if any(text is not None for text in found) else ""
    return [absent if text is None else text.replace("\n", BREAK) for text in found]


def are_notes(references: Sequence[str]) -> bool:
    """Return whether these are whole notes: some of them have two divisions or more."""
    return any(len(cut(reference.replace(BREAK, "\n"))) > 1 for reference in references)
