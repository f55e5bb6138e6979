"""Asks multiple-choice questions about encounters: reading (the answer is in the record) and knowledge (it is not)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from suture.data.clinic.conditions import Condition, knowledge
from suture.data.clinic.encounter import BANNER, Encounter
from suture.data.clinic.phrases import article, listed, sentence
from suture.data.records import Choice

OPTIONS = 4
# Classes that could be given for comfort in almost any condition.
SYMPTOMATIC = frozenset({"analgesic", "steroid"})
INTERVALS = ("3 days", "5 days", "1 week", "2 weeks", "3 weeks", "4 weeks", "6 weeks", "2 months", "3 months")
OTHER_SITES = ("elbow", "hip", "thumb", "thigh")

# A question without its banner, the right option, and the wrong ones.
Asked = tuple[str, str, list[str]]


def questions(encounters: Iterable[Encounter], seed: int) -> list[Choice]:
    """Return two questions an encounter, one of reading and one of knowledge, in turn.

    Each has 4 distinct options of one type of which one is right; the right positions are balanced in every four
    questions, and of the kinds that an encounter allows the rarest so far is asked. Ids end in the question's kind.
    Equal arguments give equal questions.
    """
    rng = Random(f"questions/{seed}")
    positions: list[int] = []
    asked: list[Choice] = []
    given: Counter[str] = Counter()
    for encounter in encounters:
        for family in (READING, KNOWLEDGE):
            kinds = sorted(family, key=lambda name: given[name])
            kind, (stem, right, wrong) = next(
                (kind, made) for kind in kinds if (made := family[kind](encounter, rng)) is not None
            )
            given[kind] += 1
            positions = positions or rng.sample(range(OPTIONS), OPTIONS)
            answer = positions.pop()
            options = rng.sample(wrong, OPTIONS - 1)
            options.insert(answer, right)
            asked.append(Choice(f"{encounter.id}-{kind}", encounter.id, f"{BANNER} {stem}", tuple(options), answer))
    return asked


def _patient(encounter: Encounter) -> str:
    return sentence(article(encounter.patient)).rstrip(".")


def _record(encounter: Encounter) -> str:
    home = f" Takes {encounter.home}." if encounter.home else ""
    return f"{_patient(encounter)}.{home} Started {encounter.started}."


def _new_drug(encounter: Encounter, rng: Random) -> Asked:
    home = [encounter.home.drug] if encounter.home else []
    others = sorted(set(knowledge().classes) - {encounter.started.drug, *home})
    wrong = home + rng.sample(others, OPTIONS - 1 - len(home))
    return f"{_record(encounter)} Which drug is new?", encounter.started.drug, wrong


def _dose(encounter: Encounter, rng: Random) -> Asked | None:
    drug = encounter.started
    if drug.unit.startswith("drop"):
        return None
    same = {other.dose for c in knowledge().conditions for other in c.drugs if other.drug == drug.drug}
    amounts = [float(drug.dose) * factor for factor in (0.5, 2, 3, 4)]
    pool = sorted((same | {f"{amount:g}" for amount in amounts}) - {drug.dose})
    wrong = [f"{dose} {drug.unit}" for dose in rng.sample(pool, OPTIONS - 1)]
    return f"{_record(encounter)} Which dose of {drug.drug}?", f"{drug.dose} {drug.unit}", wrong


def _side(encounter: Encounter, rng: Random) -> Asked | None:
    site = next((site for site in encounter.sites if f"{encounter.side} {site}" in encounter.complaint), "")
    if not site:
        return None
    other = "left" if encounter.side == "right" else "right"
    old = rng.choice([name for name in OTHER_SITES if name != site])
    stem = f"{_patient(encounter)} with {encounter.complaint}. Old scar on the {other} {old}."
    return (
        f"{stem} Where is the complaint?",
        f"{encounter.side} {site}",
        [
            f"{other} {site}",
            f"{encounter.side} {old}",
            f"{other} {old}",
        ],
    )


def _negated(encounter: Encounter, rng: Random) -> Asked:
    present = [*encounter.signs, *(note for note, _ in encounter.symptoms)][: OPTIONS - 1]
    absent = encounter.absent[0]
    lines = [sentence(finding) for finding in present]
    lines.insert(rng.randint(0, len(lines)), f"No {absent}.")
    return f"Findings in {article(encounter.patient)}: {' '.join(lines)} Which is absent?", absent, present


def _follow_up(encounter: Encounter, rng: Random) -> Asked:
    text = f"{sentence(encounter.complaint)[:-1]} for {encounter.duration}."
    stem = f"{text} Started {encounter.started}. Follow up in {encounter.follow_up}. When is the next visit?"
    pool = [interval for interval in INTERVALS if interval not in (encounter.follow_up, encounter.duration)]
    wrong = [encounter.duration] if encounter.duration != encounter.follow_up else []
    wrong += rng.sample(pool, OPTIONS - 1 - len(wrong))
    return stem, f"in {encounter.follow_up}", [f"in {interval}" for interval in wrong]


def _diagnosis(encounter: Encounter, rng: Random) -> Asked:
    possible = [other.name for other in _unlike(encounter, rng) if encounter.sex in other.sexes]
    stem = (
        f"{_patient(encounter)} with {encounter.complaint} for {encounter.duration}. "
        f"Exam: {listed(encounter.signs[:2])}. Most likely diagnosis?"
    )
    return stem, encounter.diagnosis, _wrong(encounter, possible)


def _usual_drug(encounter: Encounter, rng: Random) -> Asked:
    table = knowledge()
    barred = table.fitting_classes(table.condition(encounter.condition)) | SYMPTOMATIC
    wrong: dict[str, str] = {}
    for other in _unlike(encounter, rng):
        drug = rng.choice(other.drugs).drug
        if table.classes[drug] not in barred:
            wrong.setdefault(table.classes[drug], drug)
    stem = f"{_patient(encounter)} with {encounter.diagnosis}. Which drug is usually started?"
    return stem, encounter.started.drug, _wrong(encounter, wrong.values())


def _finding(encounter: Encounter, rng: Random) -> Asked:
    others = [rng.choice(other.signs) for other in _unlike(encounter, rng)]
    stem = f"{_patient(encounter)} with {encounter.diagnosis}. Which finding is typical?"
    return stem, rng.choice(encounter.signs), _wrong(encounter, others)


def _image(encounter: Encounter, rng: Random) -> Asked | None:
    if not encounter.image_study:
        return None
    others = [other.imaging.findings[0] for other in _unlike(encounter, rng) if other.imaging]
    stem = f"{sentence(encounter.image_study)[:-1]} in {encounter.diagnosis}. Which finding is typical?"
    return stem, encounter.image_findings[0], _wrong(encounter, others)


def _step(encounter: Encounter, rng: Random) -> Asked:
    plan = knowledge().condition(encounter.condition).plan
    others = [other.plan[0] for other in _unlike(encounter, rng) if other.plan[0] not in plan]
    stem = f"{_patient(encounter)} with {encounter.diagnosis}. Which step belongs to the plan?"
    return stem, plan[0], _wrong(encounter, others)


def _unlike(encounter: Encounter, rng: Random) -> list[Condition]:
    """Return the conditions that share no group with the encounter's, in an order drawn by `rng`."""
    pool = knowledge().unlike(knowledge().condition(encounter.condition))
    return rng.sample(pool, len(pool))


def _wrong(encounter: Encounter, texts: Iterable[str]) -> list[str]:
    """Return the first distinct texts, on the encounter's own side, as wrong options."""
    return [text.format(side=encounter.side or "left", mm=4) for text in dict.fromkeys(texts)][: OPTIONS - 1]


READING: dict[str, Callable[[Encounter, Random], Asked | None]] = {
    "new_drug": _new_drug,
    "side": _side,
    "negated": _negated,
    "dose": _dose,
    "follow_up": _follow_up,
}
KNOWLEDGE: dict[str, Callable[[Encounter, Random], Asked | None]] = {
    "usual_drug": _usual_drug,
    "finding": _finding,
    "image": _image,
    "diagnosis": _diagnosis,
    "step": _step,
}
