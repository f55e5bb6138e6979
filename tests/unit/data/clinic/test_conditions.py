import re
from dataclasses import fields

import pytest

from suture.data.clinic.conditions import Condition, knowledge

TABLE = knowledge()


def texts(condition: Condition) -> list[str]:
    found: list[str] = []
    for field in fields(condition):
        value = getattr(condition, field.name)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, tuple):
            for part in value:
                found.extend([part] if isinstance(part, str) else [*part] if isinstance(part, tuple) else [])
    return found


def test_the_table_is_wide_enough_to_learn_from():
    assert len(TABLE.conditions) == 40
    assert sum(condition.setting == "ward" for condition in TABLE.conditions) == 11
    assert sum(condition.imaging is not None for condition in TABLE.conditions) >= 15
    assert len({condition.name for condition in TABLE.conditions}) == 40


def test_a_row_is_read_as_written():
    knee = TABLE.condition("{side} knee osteoarthritis")
    assert [str(drug) for drug in knee.drugs[:3]] == [
        "naproxen 250 mg twice daily",
        "naproxen 500 mg twice daily",
        "meloxicam 7.5 mg once daily",
    ]
    assert knee.symptoms[0] == ("pain with stairs", "it is worst on the stairs")
    assert knee.imaging is not None
    assert knee.imaging.study == "radiograph of the {side} knee"


@pytest.mark.parametrize("condition", TABLE.conditions, ids=lambda condition: condition.name)
def test_every_condition_can_be_drawn_and_asked_about(condition: Condition):
    assert condition.setting in ("clinic", "ward")
    assert bool(condition.course) == (condition.setting == "ward")
    assert all(drug.drug in TABLE.classes for drug in condition.drugs)
    assert all(len(pair) == 2 for pair in condition.symptoms)
    assert min(map(len, (condition.symptoms, condition.denied, condition.signs, condition.absent, condition.plan))) >= 2
    assert len(condition.drugs) * len(condition.follow_ups) >= 8
    assert condition.ages[0] < condition.ages[1]
    assert condition.sites or not any("{side}" in text for text in texts(condition))
    assert len(TABLE.unlike(condition)) >= 10


@pytest.mark.parametrize("condition", TABLE.conditions, ids=lambda condition: condition.name)
def test_no_condition_denies_what_it_also_shows(condition: Condition):
    shown = {note for note, _ in condition.symptoms} | set(condition.signs)
    absent = {*condition.denied, *condition.absent}
    if condition.imaging:
        shown |= set(condition.imaging.findings)
        absent |= set(condition.imaging.absent)
    for finding in absent:
        assert not any(re.search(rf"\b{re.escape(finding)}\b", text) for text in (*shown, condition.complaint)), finding


def test_group_mates_and_defensible_classes_are_set_apart():
    fibrillation = TABLE.condition("atrial fibrillation with rapid ventricular response")
    names = {other.name for other in TABLE.unlike(fibrillation)}
    assert "essential hypertension" not in names
    assert "type 2 diabetes" in names
    assert {"rate control", "anticoagulant", "antihypertensive"} <= TABLE.fitting_classes(fibrillation)
    assert "antibiotic" not in TABLE.fitting_classes(fibrillation)
