"""The synthetic clinic: a deterministic generator of fictional encounters, and of texts and questions about them.

    conditions.yaml   the medical table: conditions, findings, drugs, imaging
    conditions.py     the table as frozen dataclasses
    encounter.py      one structured record, its facts, its combinations
    generate.py       (seed, train, test) -> Clinic, disjoint in combinations
    phrases.py        wording shared by the renderers
    notes.py          encounter -> clinical note (plain text, or reference record)
    summaries.py      encounter -> (dialogue | findings | hospital stay) and its summary
    questions.py      encounter -> multiple-choice questions

Every text begins with `BANNER`, which says that it is synthetic. No person has a name.
"""

from suture.data.clinic.encounter import BANNER, Encounter, combinations, facts
from suture.data.clinic.generate import Clinic, generate
from suture.data.clinic.notes import notes, references
from suture.data.clinic.questions import questions
from suture.data.clinic.summaries import summaries

__all__ = [
    "BANNER",
    "Clinic",
    "Encounter",
    "combinations",
    "facts",
    "generate",
    "notes",
    "questions",
    "references",
    "summaries",
]
