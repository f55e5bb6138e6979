"""Open stand-ins for credentialed tasks, cut from MTSamples: hospital course, findings -> impression.

MTSamples writes a note as one line in which ",HEADER: ," begins a section. Each distinct transcription is used once:
the published table repeats most of them under several specialties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from suture.data.leakage import words
from suture.data.records import Record
from suture.data.source import Files
from suture.data.tables import Row, read_rows, tidy

LICENCE = "CC0 as declared by its copy on Kaggle; mtsamples.com states none"
_HEADER = re.compile(r"(?:^|[,.]\s*|\s{2,})([A-Z][A-Z0-9 /&()'-]{2,60}):")
_COURSE = re.compile(r"(?:BRIEF )?(?:HISTORY AND )?HOSPITAL COURSE(?: SUMMARY)?|COURSE IN THE HOSPITAL")
_FINDINGS = re.compile(r"(?:RADIOLOGIC(?:AL)? |IMAGING )?FINDINGS?")
_IMPRESSION = re.compile(r"(?:FINAL |CLINICAL )?(?:IMPRESSIONS?|CONCLUSIONS?)")
SHORTEST_COURSE, SHORTEST_FINDINGS = 40, 15  # words


def hospital_course(files: Files, split: str) -> list[Record]:
    """Read notes with a section HOSPITAL COURSE of 40 words or more: the rest of the note -> that section."""
    records = []
    for name, sections in _notes(files):
        course = [text for header, text in sections if _COURSE.fullmatch(header)]
        rest = "\n".join(
            f"{header}: {text}" if header else text for header, text in sections if not _COURSE.fullmatch(header)
        )
        if len(course) == 1 and len(course[0].split()) >= SHORTEST_COURSE and len(rest.split()) >= SHORTEST_COURSE:
            records.append(_record(f"mtsamples_course-{name}", "hospital course", rest, course[0], split))
    return records


def impression(files: Files, split: str) -> list[Record]:
    """Read reports with one FINDINGS of 15 words or more and one IMPRESSION or CONCLUSION: the one -> the other."""
    records = []
    for name, sections in _notes(files):
        found = [text for header, text in sections if _FINDINGS.fullmatch(header)]
        said = [text for header, text in sections if _IMPRESSION.fullmatch(header)]
        if len(found) == len(said) == 1 and len(found[0].split()) >= SHORTEST_FINDINGS:
            records.append(_record(f"mtsamples_impression-{name}", "impression", found[0], said[0], split))
    return records


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Return the first row of each distinct transcription; case, punctuation and space do not count."""
    seen: dict[str, Row] = {}
    for row in rows:
        key = " ".join(words(tidy(row["transcription"])))
        if key:
            seen.setdefault(key, row)
    return list(seen.values())


def sections_of(text: str) -> list[tuple[str, str]]:
    """Return (header, text) of the sections of one transcription that have text; "" heads what is first."""
    marks = list(_HEADER.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    cut = [("", _lines(text[: marks[0].start()]))] if marks else []
    cut += [(mark[1].strip(), _lines(text[mark.end() : end])) for mark, end in zip(marks, ends, strict=True)]
    return [(header, body) for header, body in cut if body]


def _notes(files: Files) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for number, row in enumerate(distinct(read_rows(files["table"], ("transcription",)))):
        yield str(row.get("note_id") or row.get("") or number), sections_of(tidy(row["transcription"]))


def _lines(text: str) -> str:
    """Return a section's text with the line breaks that the table's ".," stand for."""
    text = re.sub(r"(?<=[.;:])\s*,\s*(?=\S)", "\n", text)
    text = re.sub(r",(?=\d{1,2}\.\s)", "\n", text)
    return "\n".join(" ".join(line.split()) for line in text.strip(" ,\n").split("\n"))


def _record(name: str, section: str, text: str, target: str, split: str) -> Record:
    return Record(name, "mtsamples", name, section, text, target, split, LICENCE)
