"""The four divisions of an ACI-BENCH note, cut as its published evaluation cuts them.

Yim et al. 2023, arXiv:2306.02022; sectiontagger.py and evaluate_fullnote.py in the authors' repository wyim/aci-bench.
A line that begins with a known heading opens a section; a division starts at the first heading of its kind and ends
where the next division starts. What stands before any heading is subjective. A capital IMPRESSION is assessment.

Three habits of that evaluation move the published numbers, and are kept: inside a division line breaks are written
`__lf1__` (so each counts as a word `lf1`, and Lsum sees one line); a division that a note lacks is the text
`#####EMPTY#####` (so two notes that both lack it agree fully); and where no note of a file has it, it is no text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

DIVISIONS = ("subjective", "objective_exam", "objective_results", "assessment_and_plan")
EMPTY = "#####EMPTY#####"
BREAK = "__lf1__"

# Headings in the order in which they are tried. One with a colon needs it, unless it stands alone on its line.
_HEADINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "subjective": (
        ("cc :", "chief complaint :", "reason for visit :", "chief complaint"),
        (
            *("history :", "history of present illness :", "history of present illness", "hpi :", "hpi"),
            *("hpi notes :", "interval history :", "interval hx :", "subjective :"),
        ),
        ("ros :", "review of system :", "review of systems :"),
        ("social history", "past history"),
    ),
    "objective_exam": (
        (
            *("physical exam :", "physical examination :", "pe :", "physical findings :", "examination :", "exam :"),
            *("physical examination", "physical exam"),
        ),
        ("vitals reviewed",),
    ),
    "objective_results": (("results :", "findings :", "results"),),
    "assessment_and_plan": (
        ("assessment :", "a:"),
        ("plan :", "plan of care :", "p:", "medical decision-making plan :", "summary plan"),
        (
            *("ap :", "a / p :", "assessment and plan :", "assessment & plan :", "disposition / plan :"),
            "assessment and plan",
        ),
    ),
}
_IMPRESSION = re.compile(r"\s*IMPRESSION")


def cut(note: str) -> dict[str, str]:
    """Return division -> its text, for the divisions that the note has, in the order of the note."""
    starts: dict[str, int] = {}
    offset = 0
    for number, line in enumerate(note.split("\n")):
        division = _division(line) or ("subjective" if number == 0 else "")
        if division:
            starts.setdefault(division, offset)
        offset += len(line) + 1
    ends = [*list(starts.values())[1:], len(note)]
    return {division: note[start:end] for (division, start), end in zip(starts.items(), ends, strict=True)}


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


def _division(line: str) -> str:
    for division, patterns in _patterns():
        if any(pattern.match(line) for pattern in patterns):
            return division
    return "assessment_and_plan" if _IMPRESSION.match(line) else ""


@cache
def _patterns() -> tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]:
    return tuple((division, tuple(map(_pattern, kinds))) for division, kinds in _HEADINGS.items())


def _pattern(headings: Sequence[str]) -> re.Pattern[str]:
    anywhere = "|".join(_spaced(heading) for heading in headings)
    alone = "|".join(_spaced(heading.removesuffix(":")) for heading in headings if heading.endswith(":"))
    pattern = rf"\s*(?:{anywhere})"
    return re.compile(rf"{pattern}|\s*(?:{alone})\s*$" if alone else pattern, re.IGNORECASE)


def _spaced(heading: str) -> str:
    """A blank in a heading stands for any white space, also none."""
    return r"\s*".join(re.escape(part) for part in heading.split(" "))
