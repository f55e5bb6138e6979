from collections import Counter

import pytest

from suture.data.instructions import HELD_OUT, TRAINED, contrast, satisfies, training
from suture.errors import UsageError

RECORDS = training(0, 600)


def test_the_response_satisfies_its_constraint():
    for record in RECORDS:
        assert satisfies(record.section, record.target, record.facts["value"]), record.id


def test_equal_arguments_give_equal_records_and_more_only_add():
    assert training(0, 600) == RECORDS
    assert training(0, 25) == RECORDS[:25]
    assert training(1, 25) != RECORDS[:25]


def test_kinds_come_round_evenly():
    assert set(Counter(record.section for record in RECORDS).values()) == {25}
    assert {record.section for record in RECORDS} == set(TRAINED)


def test_prompts_and_ids_are_unique_and_carry_the_constraint():
    assert len({record.input for record in RECORDS}) == len({record.id for record in RECORDS}) == 600
    assert not any("{" in record.input for record in RECORDS)
    for record in RECORDS:
        if record.section in ("keyword", "without_word", "ending"):
            assert record.facts["value"] in record.input


def test_held_out_kinds_topics_and_prompts_stay_out():
    pairs = contrast(0)
    assert not {record.section for record in RECORDS} & set(HELD_OUT)
    assert not {record.input for record in RECORDS} & {
        prompt for pair in pairs for prompt in (pair.prompt_a, pair.prompt_b)
    }
    names = {record.encounter for record in RECORDS}
    assert not any(pair.topic in name or name in pair.topic for pair in pairs for name in names)


@pytest.mark.parametrize("number", [-1, 10**6])
def test_an_impossible_number_is_refused(number: int):
    with pytest.raises(UsageError, match="must be in"):
        training(0, number)
