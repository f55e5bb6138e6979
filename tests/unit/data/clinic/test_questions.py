from collections import Counter

from suture.data.clinic import BANNER, generate, questions
from suture.data.clinic.conditions import knowledge
from suture.data.clinic.questions import KNOWLEDGE, READING
from suture.data.records import Choice

CLINIC = generate(2, 0, 200)
ASKED = questions(CLINIC.test, 0)
BY_ID = {encounter.id: encounter for encounter in CLINIC.test}


def kind(choice: Choice) -> str:
    return choice.id.removeprefix(f"{choice.encounter}-")


def of(name: str) -> list[Choice]:
    return [choice for choice in ASKED if kind(choice) == name]


def right(choice: Choice) -> str:
    return choice.options[choice.answer]


def wrong(choice: Choice) -> list[str]:
    return [option for number, option in enumerate(choice.options) if number != choice.answer]


def test_equal_arguments_give_equal_questions():
    assert questions(CLINIC.test, 0) == ASKED
    assert questions(CLINIC.test, 1) != ASKED


def test_two_questions_an_encounter_one_of_each_family():
    assert len(ASKED) == len({choice.id for choice in ASKED}) == 400
    assert all(kind(choice) in (READING, KNOWLEDGE)[number % 2] for number, choice in enumerate(ASKED))
    assert {kind(choice) for choice in ASKED} == {*READING, *KNOWLEDGE}


def test_right_positions_are_balanced_in_every_four():
    for start in range(0, 400, 4):
        assert {choice.answer for choice in ASKED[start : start + 4]} == {0, 1, 2, 3}


def test_right_options_are_not_given_away_by_length():
    longest = sum(len(right(choice)) == max(map(len, choice.options)) for choice in ASKED)
    assert longest / len(ASKED) < 0.5


def test_options_are_four_and_distinct_and_the_stem_is_short():
    for choice in ASKED:
        assert len({option.lower() for option in choice.options}) == 4
        assert all(choice.options)
        assert choice.question.startswith(BANNER)
        assert len(choice.question.split()) <= 42


def test_reading_answers_stand_in_the_record():
    for choice in of("new_drug"):
        encounter = BY_ID[choice.encounter]
        assert right(choice) == encounter.started.drug
        assert f"Started {right(choice)} " in choice.question
        assert not any(f"Started {drug} " in choice.question for drug in wrong(choice))
    for choice in of("dose"):
        drug = BY_ID[choice.encounter].started
        assert f"Started {drug.drug} {right(choice)} " in choice.question
        assert not any(f"{drug.drug} {dose} " in choice.question for dose in wrong(choice))
    for choice in of("side"):
        assert f"with {BY_ID[choice.encounter].complaint}" in choice.question
        assert right(choice) in BY_ID[choice.encounter].complaint
        assert not any(site in BY_ID[choice.encounter].complaint for site in wrong(choice))
    for choice in of("negated"):
        assert f"No {right(choice)}." in choice.question
        assert all(f"No {finding}." not in choice.question for finding in wrong(choice))
        assert all(finding.lower() in choice.question.lower() for finding in wrong(choice))
    for choice in of("follow_up"):
        assert f"Follow up {right(choice)}." in choice.question
        assert not any(f"Follow up {interval}." in choice.question for interval in wrong(choice))


def test_knowledge_answers_are_right_and_the_others_are_not():
    table = knowledge()
    for choice in of("usual_drug"):
        condition = table.condition(BY_ID[choice.encounter].condition)
        assert right(choice) in {drug.drug for drug in condition.drugs}
        classes = {table.classes[drug] for drug in wrong(choice)}
        assert len(classes) == 3
        assert not classes & (table.fitting_classes(condition) | {"analgesic", "steroid"})
    for choice in of("finding"):
        encounter = BY_ID[choice.encounter]
        assert right(choice) in encounter.signs
        condition = table.condition(encounter.condition)
        own = {text.format(side=encounter.side) for text in condition.signs}
        assert not own & set(wrong(choice))
    for choice in of("diagnosis"):
        assert right(choice) == BY_ID[choice.encounter].diagnosis
        assert right(choice) not in choice.question
        assert BY_ID[choice.encounter].sex == "man" or "benign prostatic hyperplasia" not in choice.options
    for choice in of("step"):
        condition = table.condition(BY_ID[choice.encounter].condition)
        assert right(choice) == condition.plan[0]
        assert not set(condition.plan) & set(wrong(choice))
    for choice in of("image"):
        encounter = BY_ID[choice.encounter]
        assert right(choice) == encounter.image_findings[0]
        assert encounter.image_study.lower() in choice.question.lower()


def test_kinds_come_in_like_numbers():
    counts = Counter(map(kind, ASKED))
    assert max(counts[name] for name in READING) - min(counts[name] for name in READING) <= 2
    assert max(counts[name] for name in KNOWLEDGE) - min(counts[name] for name in KNOWLEDGE) <= 2
