"""The four divisions of an ACI-BENCH note: subjective, exam, results, assessment and plan; found by section headers.

Yim et al. 2023, "ACI-BENCH" (Scientific Data 10:586), section "Note division". The header words are those of the
authors' tagger (`baselines/sectiontagger.py`): a division runs from its first header to the first header of the next
division in the note; a note that begins without a header begins as subjective; later headers of a division that has
been seen already stay inside the division in which they stand. Deviation: none.
"""

from __future__ import annotations

import re

DIVISIONS = ("subjective", "objective_exam", "objective_results", "assessment_and_plan")
_HEADERS = {  # " " stands for any space or none; with a colon, the colon or nothing else must follow
    "subjective": (
        *("cc :", "chief complaint", "reason for visit :", "history :", "history of present illness", "hpi"),
        *("interval history :", "interval hx :", "subjective :", "ros :", "review of system :"),
        *("review of systems :", "social history", "past history"),
    ),
    "objective_exam": (
        *("physical examination", "physical exam", "pe :", "physical findings :", "examination :", "exam :"),
        "vitals reviewed",
    ),
    "objective_results": ("findings :", "results"),
    "assessment_and_plan": (
        *("assessment :", "a:", "plan :", "plan of care :", "p:", "medical decision-making plan :", "summary plan"),
        *("ap :", "a / p :", "assessment and plan", "assessment & plan :", "disposition / plan :"),
    ),
}


def divide(note: str) -> dict[str, str]:
    """Return division -> its text, headers included, for the divisions that `note` has, in the note's order."""
    return {name: text.strip() for name, text in cut(note).items()}


def cut(note: str) -> dict[str, str]:
    """Return the same with the white space at both ends, as the published evaluation cuts."""
    starts: dict[str, int] = {}
    offset = 0
    for number, line in enumerate(note.split("\n")):
        division = _division(line) or ("subjective" if number == 0 else "")
        if division and division not in starts:
            starts[division] = offset
        offset += len(line) + 1
    order = sorted(starts, key=lambda name: starts[name])
    ends = [*(starts[name] for name in order[1:]), len(note)]
    return {name: note[starts[name] : end] for name, end in zip(order, ends, strict=True)}


def _division(line: str) -> str:
    """Return the division whose header begins `line`, the first in the order of the note's plan; "" for none."""
    found = (name for name, pattern in _PATTERNS.items() if pattern.match(line))
    impression = "assessment_and_plan" if line.lstrip().startswith("IMPRESSION") else ""  # in lower case: of results
    return next(found, impression)


def _pattern(headers: tuple[str, ...]) -> re.Pattern[str]:
    forms = [re.escape(header).replace(r"\ ", r"\s*") for header in headers]
    forms += [form.removesuffix(":") + r"\s*$" for form in forms if form.endswith(":")]
    return re.compile(rf"\s*(?:{'|'.join(forms)})", re.IGNORECASE)


_PATTERNS = {name: _pattern(headers) for name, headers in _HEADERS.items()}
