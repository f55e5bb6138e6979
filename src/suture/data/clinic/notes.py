"""Renders encounters as terse clinical notes, in varied headers, order and wording."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from suture.data.clinic.encounter import BANNER, Encounter, facts
from suture.data.clinic.phrases import article, listed, negated, sentence, shuffled
from suture.data.records import Record


def notes(encounters: Iterable[Encounter]) -> list[str]:
    """Return one plain note an encounter, about 120 to 220 tokens: no chat template, no task pair."""
    return [note(encounter) for encounter in encounters]


def references(encounters: Iterable[Encounter]) -> list[Record]:
    """Return the notes as records without input, for likelihood."""
    return [
        Record(
            id=f"{encounter.id}-note",
            source="clinic",
            encounter=encounter.id,
            section="note",
            input="",
            target=note(encounter),
            split=encounter.split,
            licence="Apache-2.0",
            facts=facts(encounter),
        )
        for encounter in encounters
    ]


def note(encounter: Encounter) -> str:
    """Return the note of one encounter; the wording is keyed by its id."""
    rng = Random(f"note/{encounter.id}")
    sections = [_history(encounter, rng), _past(encounter, rng), _vitals(encounter, rng), _exam(encounter, rng)]
    if encounter.image_study:
        sections.append(_imaging(encounter, rng))
    sections.append(_plan(encounter, rng))
    separator = rng.choice((": ", ":\n"))
    return "\n".join([BANNER, *(f"{header}{separator}{text}" for header, text in sections)])


def _history(encounter: Encounter, rng: Random) -> tuple[str, str]:
    symptoms = listed([text for text, _ in encounter.symptoms])
    opening = rng.choice(
        (
            f"{encounter.patient} with {encounter.complaint} for {encounter.duration}.",
            f"{encounter.patient} presents with {encounter.duration} of {encounter.complaint}.",
            f"{article(encounter.patient)} who comes in for {encounter.complaint}, present for {encounter.duration}.",
        )
    )
    reports = rng.choice((f"Reports {symptoms}.", f"Notes {symptoms}.", f"Associated with {symptoms}."))
    denies = rng.choice((f"Denies {listed(encounter.denied, 'or')}.", sentence(negated(encounter.denied, rng))))
    header = rng.choice(("HPI", "HISTORY", "SUBJECTIVE"))
    return header, " ".join((sentence(opening), reports, denies))


def _past(encounter: Encounter, rng: Random) -> tuple[str, str]:
    history = f"History of {encounter.history}."
    if encounter.home is None:
        home = rng.choice(("No home medications.", "Takes no regular medication."))
    else:
        home = rng.choice(
            (
                f"Takes {encounter.home} for {encounter.home_illness}.",
                f"{sentence(encounter.home_illness)} Home medication: {encounter.home}.",
            )
        )
    return rng.choice(("PMH", "BACKGROUND", "MEDICATIONS")), " ".join(shuffled((history, home), rng))


def _vitals(encounter: Encounter, rng: Random) -> tuple[str, str]:
    return rng.choice(("VITALS", "VITAL SIGNS")), f"{encounter.vitals}."


def _exam(encounter: Encounter, rng: Random) -> tuple[str, str]:
    present = sentence(listed(encounter.signs, rng.choice(("and", "with"))))
    absent = sentence(negated(encounter.absent, rng))
    return rng.choice(("EXAM", "PHYSICAL EXAM", "OBJECTIVE")), f"{present} {absent}"


def _imaging(encounter: Encounter, rng: Random) -> tuple[str, str]:
    verb = rng.choice(("shows", "demonstrates"))
    found = sentence(f"{encounter.image_study} {verb} {listed(encounter.image_findings)}")
    return "IMAGING", f"{found} {sentence(negated(encounter.image_absent, rng))}"


def _plan(encounter: Encounter, rng: Random) -> tuple[str, str]:
    start = f"{rng.choice(('Start', 'Started on', 'Begin'))} {encounter.started}."
    steps = [sentence(step) for step in encounter.plan]
    if encounter.home:
        steps.append(f"Continue {encounter.home.drug}.")
    course = f"Stayed {encounter.days} days: {encounter.course}. " if encounter.course else ""
    follow = rng.choice((f"Follow up in {encounter.follow_up}.", f"Return in {encounter.follow_up}."))
    body = " ".join([start, *shuffled(steps, rng), f"{course}{follow}"])
    return rng.choice(("ASSESSMENT AND PLAN", "A/P", "IMPRESSION AND PLAN")), f"{sentence(encounter.diagnosis)} {body}"
