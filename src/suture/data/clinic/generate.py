"""Draws fictional encounters, such that training and test share no combination of facts."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from random import Random
from typing import Any

from suture.data.clinic.conditions import Condition, Drug, Knowledge, knowledge
from suture.data.clinic.encounter import Encounter
from suture.errors import Problem, UsageError

TEST_SHARE = 0.25
Treatment = tuple[Drug, str]

# temperature (Celsius), pulse, systolic, diastolic, oxygen saturation (per cent): lowest, highest
VITALS: dict[str, tuple[tuple[float, float], ...]] = {
    "well": ((36.3, 37.1), (62, 86), (112, 134), (66, 84), (97, 99)),
    "febrile": ((38.1, 39.2), (90, 108), (110, 132), (64, 80), (96, 98)),
    "hypoxic": ((37.6, 38.6), (94, 112), (118, 146), (66, 84), (87, 91)),
    "tachycardic": ((36.6, 37.3), (100, 116), (108, 128), (62, 78), (94, 97)),
    "racing": ((36.4, 37.1), (132, 158), (106, 126), (62, 78), (95, 98)),
    "hypertensive": ((36.3, 37.0), (66, 84), (150, 172), (92, 104), (97, 99)),
}


@dataclass(frozen=True, slots=True)
class Clinic:
    """The fictional encounters of one seed."""

    train: tuple[Encounter, ...]
    test: tuple[Encounter, ...]


def generate(seed: int, train: int, test: int) -> Clinic:
    """Draw `train` and `test` encounters; equal arguments give equal clinics, and more of one split only adds at its end.

    Conditions come round in a shuffled order, so any prefix covers them evenly. Of the treatments of each condition
    (drug, dose, frequency, follow-up) a quarter is kept for the test split. Raises UsageError for a negative number.
    """
    if train < 0 or test < 0:
        raise UsageError(Problem("A number of encounters must be 0 or more.", f"train {train}, test {test}"))
    table = knowledge()
    kept = {condition.name: _divide(condition, seed) for condition in table.conditions}
    drawn: dict[str, tuple[Encounter, ...]] = {}
    for split, amount in (("train", train), ("test", test)):
        rng = Random(f"clinic/{seed}/{split}")
        seen: set[tuple[Any, ...]] = set()
        encounters = []
        order: list[Condition] = []
        for number in range(amount):
            order = order or rng.sample(table.conditions, len(table.conditions))
            condition = order.pop()
            treatments = kept[condition.name][split]
            identity = f"clinic-{seed}-{split}-{number:05d}"
            encounter = _draw(table, condition, rng.choice(treatments), identity, split, rng)
            while astuple(encounter)[2:] in seen:
                encounter = _draw(table, condition, rng.choice(treatments), identity, split, rng)
            seen.add(astuple(encounter)[2:])
            encounters.append(encounter)
        drawn[split] = tuple(encounters)
    return Clinic(**drawn)


def _divide(condition: Condition, seed: int) -> dict[str, list[Treatment]]:
    treatments = [(drug, interval) for drug in condition.drugs for interval in condition.follow_ups]
    Random(f"divide/{seed}/{condition.name}").shuffle(treatments)
    held = max(1, round(TEST_SHARE * len(treatments)))
    return {"test": treatments[:held], "train": treatments[held:]}


def _draw(
    table: Knowledge, condition: Condition, treatment: Treatment, identity: str, split: str, rng: Random
) -> Encounter:
    side = rng.choice(("left", "right")) if condition.sites else ""
    imaging = condition.imaging
    values = {"side": side, "mm": rng.choice(imaging.sizes) if imaging and imaging.sizes else 0}

    def fill(text: str) -> str:
        return text.format(**values)

    def some(texts: tuple[str, ...], least: int, most: int) -> tuple[str, ...]:
        return tuple(fill(text) for text in rng.sample(texts, min(len(texts), rng.randint(least, most))))

    age = rng.randint(*condition.ages)
    home_illness, home = _home(table, condition, age, rng)
    return Encounter(
        id=identity,
        split=split,
        condition=condition.name,
        setting=condition.setting,
        age=age,
        sex=rng.choice(condition.sexes),
        diagnosis=fill(condition.name),
        side=side,
        sites=condition.sites,
        complaint=fill(condition.complaint),
        lay=fill(condition.lay),
        duration=rng.choice(condition.durations),
        history=rng.choice(condition.history),
        symptoms=tuple(rng.sample(condition.symptoms, min(len(condition.symptoms), rng.randint(1, 2)))),
        denied=some(condition.denied, 2, 2),
        signs=some(condition.signs, 2, 2),
        absent=some(condition.absent, 1, 2),
        vitals=_vitals(condition.vitals, rng),
        started=treatment[0],
        home=home,
        home_illness=home_illness,
        plan=some(condition.plan, 1, 2),
        follow_up=treatment[1],
        image_study=fill(imaging.study) if imaging else "",
        image_findings=tuple(fill(text) for text in imaging.findings[: rng.randint(1, 2)]) if imaging else (),
        image_absent=some(imaging.absent, 1, 2) if imaging else (),
        image_normal=rng.choice(imaging.normal) if imaging else "",
        course=rng.choice(condition.course) if condition.course else "",
        days=rng.randint(3, 6) if condition.course else 0,
    )


def _home(table: Knowledge, condition: Condition, age: int, rng: Random) -> tuple[str, Drug | None]:
    """A chronic illness that neither treats nor is the present one; none in one patient of five."""
    taken = table.fitting_classes(condition)
    fitting = [
        chronic
        for chronic in table.chronic
        if age >= chronic.youngest
        and all(table.classes[drug.drug] not in taken for drug in chronic.drugs)
        and chronic.illness not in condition.excludes
    ]
    if not fitting or rng.random() < 0.2:
        return "", None
    chronic = rng.choice(fitting)
    return chronic.illness, rng.choice(chronic.drugs)


def _vitals(kind: str, rng: Random) -> str:
    (low, high), *rest = VITALS[kind]
    temperature = rng.uniform(low, high)
    pulse, systolic, diastolic, oxygen = (rng.randint(int(a), int(b)) for a, b in rest)
    return f"T {temperature:.1f}, HR {pulse}, BP {systolic}/{diastolic}, SpO2 {oxygen}%"
