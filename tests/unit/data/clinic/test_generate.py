from collections import Counter
from dataclasses import astuple, fields, replace

import pytest

from suture.data.clinic import Encounter, combinations, generate
from suture.data.clinic.conditions import Drug, knowledge
from suture.errors import UsageError

CLINIC = generate(7, 400, 160)


def combined(encounters: tuple[Encounter, ...]) -> set[tuple[str, ...]]:
    return {one for encounter in encounters for one in combinations(encounter)}


def test_equal_arguments_give_equal_clinics():
    assert generate(7, 400, 160) == CLINIC


def test_another_seed_gives_another_clinic():
    assert generate(8, 40, 0).train != CLINIC.train[:40]


def test_more_of_one_split_only_adds_at_its_end():
    small = generate(7, 30, 5)
    assert small.train == CLINIC.train[:30]
    assert small.test == CLINIC.test[:5]


@pytest.mark.parametrize("seed", range(5))
def test_training_and_test_share_no_combination(seed: int):
    clinic = generate(seed, 200, 120)
    assert combined(clinic.train)
    assert not combined(clinic.train) & combined(clinic.test)


def test_a_combination_is_the_treatment_and_the_view():
    encounter = Encounter(
        **{field.name: "" for field in fields(Encounter)}
        | {
            "condition": "sprain",
            "started": Drug("ibuprofen", "400", "mg", "twice daily"),
            "follow_up": "1 week",
            "image_study": "radiograph",
            "image_findings": ("swelling", "effusion"),
            "image_absent": ("fracture", "dislocation"),
        }
    )
    assert combinations(encounter) == {
        ("treatment", "sprain", "ibuprofen", "400", "twice daily", "1 week"),
        ("imaging", "sprain", "swelling", "effusion", "dislocation", "fracture"),
    }


def test_single_facts_recur():
    drugs = [{encounter.started.drug for encounter in split} for split in (CLINIC.train, CLINIC.test)]
    assert len(drugs[0] & drugs[1]) > 40


def test_no_two_encounters_are_alike():
    everyone = (*CLINIC.train, *CLINIC.test)
    assert len({encounter.id for encounter in everyone}) == 560
    assert len({astuple(encounter)[2:] for encounter in everyone}) == 560


def test_every_run_of_forty_covers_every_condition():
    assert set(Counter(encounter.condition for encounter in CLINIC.test).values()) == {4}
    assert len({encounter.condition for encounter in CLINIC.train[:40]}) == 40


def test_an_encounter_is_consistent():
    for encounter in CLINIC.train[:120]:
        condition = knowledge().condition(encounter.condition)
        assert condition.ages[0] <= encounter.age <= condition.ages[1]
        assert encounter.sex in condition.sexes
        assert encounter.started in condition.drugs
        assert encounter.follow_up in condition.follow_ups
        assert (encounter.side in ("left", "right")) == bool(condition.sites)
        assert not any("{" in str(part) for part in astuple(replace(encounter, condition="")))
        if encounter.home:
            assert knowledge().classes[encounter.home.drug] != knowledge().classes[encounter.started.drug]


def test_a_negative_number_is_refused():
    with pytest.raises(UsageError, match="0 or more"):
        generate(0, -1, 4)
