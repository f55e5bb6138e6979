import pytest

from suture.data.instructions import HELD_OUT, TRAINED, satisfies
from suture.data.instructions.constraints import sentences

CASES = [
    ("capitals", "", "EAT WELL.", "Eat WELL."),
    ("lower_case", "", "eat well.", "Eat well."),
    ("no_commas", "", "Eat well.", "Eat, then rest."),
    ("bullets", "2", "* one\n* two", "* one\n* two\n* three"),
    ("bullets", "2", "* one\n* two", "Here:\n* one"),
    ("quotes", "", '"Eat well."', 'Eat "well".'),
    ("title", "", "<<Food>>\nEat.", "<Food>\nEat."),
    ("ending", "Enjoy it.", "Eat. Enjoy it.", "Enjoy it. Eat."),
    ("keyword", "soup", "Eat Soup.", "Eat soups."),
    ("without_word", "soup", "Eat soups.", "Eat Soup."),
    ("sentence_count", "2", "Eat. Rest!", "Eat. Rest! Run."),
    ("json", "", '{"a": 1}', "[1]"),
    ("json", "", '{"a": 1}', "a: 1"),
    ("two_parts", "", "one\n***\ntwo", "one\n***\n"),
    ("postscript", "", "Eat.\nP.S. Rest.", "Eat. P.S. Rest."),
    ("highlight", "2", "*one* and *two*", "*one* and two"),
    ("brackets", "", "[Eat well.]", "[Eat] well."),
    ("arrow", "", "-> Eat well.", "Eat -> well."),
    ("dashes", "", "Eat well. --", "-- Eat well."),
    ("twice", "", "Eat well. Eat well.", "Eat well. Rest."),
    ("one_thing", "", "Warm soup.", "Soup. Bread."),
    ("comma_list", "", "soup, bread, salt", "soup, bread"),
    ("lettered", "", "a) Soup\nb) Bread", "1. Soup\n2. Bread"),
    ("greeting", "", "Hello! Eat well.", "Eat well. Hello!"),
    ("teacher", "", "The teacher says: eat.", "The doctor says: eat."),
    ("repeat_request", "Why?", "Why?\nSo.", "So. Why?"),
    ("repeat_request", "Why?", "Why?\nSo.", "Why?"),
    ("certainly", "", "Certainly, yes.", "Yes, certainly."),
    ("question", "", "Why not?", "Why? So."),
    ("exclamation", "", "Yes!", "Yes."),
    ("parentheses", "", "(Yes.)", "(Yes)."),
    ("hashtag", "", "Yes. #tea", "#tea is good."),
    ("numbered", "", "1. Tea\n2. Milk", "1. Tea"),
    ("numbered", "", "1. Tea\n2. Milk", "2. Tea\n1. Milk"),
    ("one_word", "", "Tea.", "Hot tea."),
    ("semicolons", "", "tea; milk; rum", "tea; milk"),
    ("label", "", "Answer: tea.", "The answer: tea."),
    ("dots", "", "Tea...", "Tea.. ."),
]


@pytest.mark.parametrize(("kind", "value", "good", "bad"), CASES)
def test_the_verifier_tells_good_from_bad(kind: str, value: str, good: str, bad: str):
    assert satisfies(kind, good, value)
    assert not satisfies(kind, bad, value)
    assert not satisfies(kind, " \n", value)


def test_every_kind_has_a_case_and_none_is_both_trained_and_held_out():
    assert {kind for kind, *_ in CASES} == {*TRAINED, *HELD_OUT}
    assert not set(TRAINED) & set(HELD_OUT)


def test_sentences_split_at_marks_before_white_space():
    assert sentences("It is 3.5 m. Really? Yes!") == ["It is 3.5 m.", "Really?", "Yes!"]
