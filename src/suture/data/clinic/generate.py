"""Draws fictional encounters, such that training and test share no combination of facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from itertools import combinations
from random import Random
from typing import Any, TypeVar

from suture.data.clinic.conditions import Condition, Drug, Knowledge, knowledge
from suture.data.clinic.encounter import Encounter
from suture.errors import Problem, UsageError

TEST_SHARE = 0.25
Treatment = tuple[Drug, str]
View = tuple[int, tuple[str, ...]]  # how many of the findings, which of the absent ones
Content = tuple[Any, ...]
T = TypeVar("T")

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
    """Draw `train` and `test` encounters: equal arguments give equal clinics.

    More encounters of a split only add at its end, whatever the other split is. Conditions come round in a shuffled
    order, so any prefix covers them evenly. Of the treatments (drug, dose, frequency, follow-up) and of the views of a
    study (findings, absent findings) of each condition a quarter is kept for the test split, the rest for training.
    Raises UsageError for a negative number.
    """
    if train < 0 or test < 0:
        raise UsageError(Problem("A number of encounters must be 0 or more.", f"train {train}, test {test}"))
    return Clinic(train=_split(seed, "train", train), test=_split(seed, "test", test))


def _split(seed: int, split: str, amount: int) -> tuple[Encounter, ...]:
    table = knowledge()
    kept = {condition.name: _keep(condition, seed, split) for condition in table.conditions}
    rng = Random(f"clinic/{seed}/{split}")
    drawn: dict[Content, Encounter] = {}
    waiting: list[Condition] = []
    while len(drawn) < amount:
        waiting = waiting or rng.sample(table.conditions, len(table.conditions))
        treatments, views = kept[waiting[-1].name]
        view = rng.choice(views) if views else None
        identity = f"clinic-{seed}-{split}-{len(drawn):05d}"
        encounter = _draw(table, waiting[-1], rng.choice(treatments), view, identity, split, rng)
        content = astuple(encounter)[1:]
        if content not in drawn:
            drawn[content] = encounter
            waiting.pop()
    return tuple(drawn.values())


def _keep(condition: Condition, seed: int, split: str) -> tuple[list[Treatment], list[View]]:
    """Return the treatments and the views of a study that `split` may use."""
    treatments = [(drug, interval) for drug in condition.drugs for interval in condition.follow_ups]
    views: list[View] = []
    if condition.imaging:
        absent = [some for size in (1, 2) for some in combinations(condition.imaging.absent, size)]
        views = [(found, some) for found in (1, 2) for some in absent]
    return _part(treatments, f"treatments/{seed}/{condition.name}", split), _part(
        views, f"views/{seed}/{condition.name}", split
    )


def _part(choices: list[T], key: str, split: str) -> list[T]:
    shuffled = Random(key).sample(choices, len(choices))
    held = max(1, round(TEST_SHARE * len(choices)))
    return shuffled[:held] if split == "test" else shuffled[held:]


def _draw(
    table: Knowledge,
    condition: Condition,
    treatment: Treatment,
    view: View | None,
    identity: str,
    split: str,
    rng: Random,
) -> Encounter:
    side = rng.choice(("left", "right")) if condition.sites else ""
    imaging = condition.imaging
    values = {"side": side, "mm": rng.choice(imaging.sizes) if imaging and imaging.sizes else 0}

    def fill(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(text.format(**values) for text in texts)

    def some(texts: tuple[str, ...], least: int, most: int) -> tuple[str, ...]:
        return fill(rng.sample(texts, min(len(texts), rng.randint(least, most))))

    diagnosis, complaint, lay = fill((condition.name, condition.complaint, condition.lay))
    age = rng.randint(*condition.ages)
    home_illness, home = _home(table, condition, age, rng)
    study: dict[str, Any] = {}
    if imaging and view:
        found, absent = view
        study = {
            "image_study": imaging.study.format(**values),
            "image_findings": fill(imaging.findings[:found]),
            "image_absent": fill(rng.sample(absent, len(absent))),
            "image_normal": rng.choice(imaging.normal),
        }
    return Encounter(
        id=identity,
        split=split,
        condition=condition.name,
        setting=condition.setting,
        age=age,
        sex=rng.choice(condition.sexes),
        diagnosis=diagnosis,
        side=side,
        sites=condition.sites,
        complaint=complaint,
        lay=lay,
        duration=rng.choice(condition.durations),
        history=rng.choice(condition.history),
        symptoms=tuple(rng.sample(condition.symptoms, rng.randint(1, 2))),
        denied=some(condition.denied, 2, 2),
        signs=some(condition.signs, 2, 2),
        absent=some(condition.absent, 1, 2),
        vitals=_vitals(condition.vitals, rng),
        started=treatment[0],
        home=home,
        home_illness=home_illness,
        plan=some(condition.plan, 1, 2),
        follow_up=treatment[1],
        course=rng.choice(condition.course) if condition.course else "",
        days=rng.randint(3, 6) if condition.course else 0,
        **study,
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
