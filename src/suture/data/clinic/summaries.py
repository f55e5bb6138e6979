"""Renders encounters as source texts and their summaries: dialogue, radiology findings, hospital stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

from suture.data.clinic.encounter import BANNER, Encounter, drug_fact, laterality
from suture.data.clinic.phrases import listed, negated, sentence, shuffled
from suture.data.records import Record

DIALOGUE = "dialogue to note"
FINDINGS = "findings to impression"
STAY = "stay to hospital course"

Rendering = tuple[str, str, dict[str, Any]]

SMALL_TALK = (
    ("Sorry for the wait.", "No problem, the bus was late anyway."),
    ("How is the family?", "Busy. My sister just had knee surgery."),
    ("Still working?", "Yes, full time. My brother takes warfarin and cannot."),
    ("Did you try anything?", "Only tea and rest."),
    ("How was the drive?", "Long, with all that rain."),
)
OTHER_SIDE = {
    "left": (("And the right side?", "That one is fine."),),
    "right": (("And the left side?", "That one is fine."),),
}
WARD_TALK = (
    "Slept poorly, family visited.",
    "Ate half of lunch, walked to the window.",
    "Roommate discharged, asks for a quieter room.",
    "Dietitian and social work visited.",
    "Intravenous line replaced without difficulty.",
)


def summaries(encounters: Iterable[Encounter]) -> list[Record]:
    """Return one generation record an encounter: source text in, its summary out, the three kinds evenly mixed.

    Inputs are at most about 180 tokens, targets about 60. `facts` lists what the target states and nothing else.
    """
    given: Counter[str] = Counter()
    records = []
    for encounter in encounters:
        section = min(_sections(encounter), key=lambda name: given[name])
        given[section] += 1
        source, target, stated = RENDERERS[section](encounter, Random(f"{section}/{encounter.id}"))
        records.append(
            Record(
                id=f"{encounter.id}-{section.split()[0]}",
                source="clinic",
                encounter=encounter.id,
                section=section,
                input=source,
                target=target,
                split=encounter.split,
                licence="Apache-2.0",
                facts=stated | {"laterality": laterality(encounter, target)},
            )
        )
    return records


def _sections(encounter: Encounter) -> list[str]:
    first = STAY if encounter.setting == "ward" else DIALOGUE
    return [first, FINDINGS] if encounter.image_study else [first]


def _dialogue(encounter: Encounter, rng: Random) -> Rendering:
    note, lay = rng.choice(encounter.symptoms)
    denied, sign = encounter.denied[: rng.randint(1, 2)], encounter.signs[0]
    home = f"{sentence(str(encounter.home))}" if encounter.home else rng.choice(("Nothing.", "No tablets at all."))
    aside = rng.choice((*SMALL_TALK, *OTHER_SIDE.get(encounter.side, ())))
    asked = [
        (rng.choice(("Anything else?", "What else do you notice?")), sentence(lay)),
        rng.choice(
            (
                (f"Any {listed(denied, 'or')}?", rng.choice(("No.", "Not at all."))),
                ("Any other trouble?", sentence(negated(denied, rng))),
            )
        ),
        (rng.choice(("What do you take at home?", "Any regular medication?")), home),
        aside,
    ]
    opening = (rng.choice(("What brings you in?", "What can I do for you?")), sentence(encounter.lay))
    begin = (rng.choice(("When did it start?", "How long ago did this begin?")), f"About {encounter.duration} ago.")
    turns = [opening, begin, *(asked[i] for i in rng.sample(range(len(asked)), len(asked)))]
    closing = (
        f"On exam: {sign}. {rng.choice(('This is', 'You have'))} {encounter.diagnosis}. "
        f"{rng.choice(('I will start', 'Let us start'))} {encounter.started}. "
        f"{rng.choice(('Come back in', 'See me in'))} {encounter.follow_up}."
    )
    lines = [line for said, reply in turns for line in (f"Doctor: {said}", f"Patient: {reply}")]
    source = "\n".join([BANNER, *lines, f"Doctor: {closing}"])
    target = (
        f"{sentence(encounter.complaint).rstrip('.')} for {encounter.duration} with {note}, "
        f"no {', no '.join(denied)}. Exam: {sign}. {sentence(encounter.diagnosis)} Start {encounter.started}. "
        f"Follow up in {encounter.follow_up}."
    )
    return source, target, _stated(encounter, [encounter.complaint, note, sign], denied, treated=True)


def _findings(encounter: Encounter, rng: Random) -> Rendering:
    absent = negated(encounter.image_absent, rng)
    normal = sentence(encounter.image_normal)
    body = shuffled([*map(sentence, encounter.image_findings), sentence(absent), normal], rng)
    indication = f"{encounter.patient}, {encounter.complaint}, {encounter.history}"
    source = "\n".join(
        (
            BANNER,
            f"STUDY: {sentence(encounter.image_study)}",
            f"INDICATION: {sentence(indication)}",
            f"COMPARISON: {rng.choice(('None.', 'None available.', 'Report of a study 2 years ago.'))}",
            f"FINDINGS: {' '.join(body)}",
        )
    )
    found = listed(encounter.image_findings)
    target = f"{sentence(found).rstrip('.')}, consistent with {encounter.diagnosis}. {sentence(absent)}"
    return source, target, _stated(encounter, encounter.image_findings, encounter.image_absent, treated=False)


def _stay(encounter: Encounter, rng: Random) -> Rendering:
    sign, absent = encounter.signs[0], encounter.absent
    home = f"Home medication: {encounter.home}." if encounter.home else "No home medication."
    admission = [f"{encounter.patient}, {encounter.complaint} for {encounter.duration}.", home]
    exam = f"Exam: {sign}, {negated(absent, rng)}."
    source = "\n".join(
        (
            BANNER,
            f"ADMISSION: {' '.join(admission)}",
            f"DAY 1: {exam} {sentence(encounter.diagnosis)} Started {encounter.started}.",
            f"DAY 2: {rng.choice(WARD_TALK)}",
            f"DAY {encounter.days}: {sentence(encounter.course)}",
            f"DISCHARGE: {' '.join(shuffled([sentence(encounter.plan[0]), 'Stable.'], rng))} "
            f"Follow up in {encounter.follow_up}.",
        )
    )
    target = (
        f"Admitted with {encounter.diagnosis}; {sign}, no {', no '.join(absent)}. "
        f"Treated with {encounter.started}. {sentence(encounter.course)} Discharged on day {encounter.days}. "
        f"Follow up in {encounter.follow_up}."
    )
    return source, target, _stated(encounter, [sign], absent, treated=True)


def _stated(encounter: Encounter, present: Iterable[str], absent: Iterable[str], *, treated: bool) -> dict[str, Any]:
    return {
        "diagnosis": encounter.diagnosis,
        "drugs": [drug_fact(encounter.started)] if treated else [],
        "present": list(present),
        "negated": list(absent),
        "follow_up": encounter.follow_up if treated else "",
    }


RENDERERS: Mapping[str, Callable[[Encounter, Random], Rendering]] = {
    DIALOGUE: _dialogue,
    FINDINGS: _findings,
    STAY: _stay,
}
