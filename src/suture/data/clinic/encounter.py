"""The structured record of one fictional encounter, and the facts that can be checked in a text about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suture.data.clinic.conditions import Drug

BANNER = "Synthetic record, fictional patient."


@dataclass(frozen=True, slots=True)
class Encounter:
    """One visit or hospital stay of a patient who does not exist.

    No text has a placeholder left. side is "left", "right" or "" where the condition has none; sites are the body parts
    that the side belongs to. symptoms pairs the note's wording with the patient's. started is the order given for
    the condition, home the order that the patient takes already (None where there is none) for home_illness.
    image_* are empty where no study was made; course and days (length of stay) are empty and 0 outside the ward.
    """

    id: str
    split: str
    condition: str
    setting: str
    age: int
    sex: str
    diagnosis: str
    side: str
    sites: tuple[str, ...]
    complaint: str
    lay: str
    duration: str
    history: str
    symptoms: tuple[tuple[str, str], ...]
    denied: tuple[str, ...]
    signs: tuple[str, ...]
    absent: tuple[str, ...]
    vitals: str
    started: Drug
    home: Drug | None
    home_illness: str
    plan: tuple[str, ...]
    follow_up: str
    image_study: str = ""
    image_findings: tuple[str, ...] = ()
    image_absent: tuple[str, ...] = ()
    image_normal: str = ""
    course: str = ""
    days: int = 0

    @property
    def patient(self) -> str:
        """Age and sex, as in "54-year-old man"."""
        return f"{self.age}-year-old {self.sex}"


Combination = tuple[str, ...]


def combinations(encounter: Encounter) -> frozenset[Combination]:
    """Return what no training and test encounter share, beginning with its kind and the condition.

    ("treatment", condition, drug started, dose, frequency, follow-up); and, where a study was made, ("imaging",
    condition, findings in the table's order, absent findings in alphabetical order). Single facts may recur.
    """
    drug = encounter.started
    treatment = ("treatment", encounter.condition, drug.drug, drug.dose, drug.frequency, encounter.follow_up)
    if not encounter.image_study:
        return frozenset((treatment,))
    imaging = ("imaging", encounter.condition, *encounter.image_findings, *sorted(encounter.image_absent))
    return frozenset((treatment, imaging))


def drug_fact(drug: Drug) -> dict[str, str]:
    """Return an order as the JSON object that facts carry: drug, dose, unit, frequency."""
    return {"drug": drug.drug, "dose": drug.dose, "unit": drug.unit, "frequency": drug.frequency}


def laterality(encounter: Encounter, text: str) -> list[dict[str, str]]:
    """Return the sites that `text` states with the encounter's side, longest site first and each place once."""
    remaining = text.lower()
    stated = []
    for site in sorted(encounter.sites, key=len, reverse=True):
        phrase = f"{encounter.side} {site.lower()}"
        if phrase in remaining:
            stated.append({"site": site, "side": encounter.side})
            remaining = remaining.replace(phrase, "")
    return stated


def facts(encounter: Encounter) -> dict[str, Any]:
    """Return the facts of the whole encounter as a JSON-able object.

    Keys: drugs (drug, dose, unit, frequency), laterality (site, side), present and negated (findings), follow_up,
    diagnosis. Findings of imaging are included.
    """
    orders = [encounter.started] + ([encounter.home] if encounter.home else [])
    return {
        "diagnosis": encounter.diagnosis,
        "drugs": [drug_fact(drug) for drug in orders],
        "laterality": [{"site": site, "side": encounter.side} for site in encounter.sites],
        "present": [
            encounter.complaint,
            *(note for note, _ in encounter.symptoms),
            *encounter.signs,
            *encounter.image_findings,
        ],
        "negated": [*encounter.denied, *encounter.absent, *encounter.image_absent],
        "follow_up": encounter.follow_up,
    }
