import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.data.clinic import generate, references, summaries
from suture.data.leakage import check_disjoint, shared_ngrams, words
from suture.data.records import Record
from suture.errors import BadInputError


def record(number: int, text: str, target: str = "Fine.", encounter: str = "") -> Record:
    return Record(f"r{number}", "s", encounter or f"e{number}", "x", text, target, "train", "CC BY 4.0")


def test_words_drop_case_and_punctuation():
    assert words("No fever, T 38.5; Patient's OK.") == ["no", "fever", "t", "38", "5", "patient", "s", "ok"]


def test_eight_words_in_a_row_are_shared_and_seven_are_not():
    train = ["a b c d e f g h i", "x a b c d e f g y"]
    test = ["Z A, b c d e f g H!", "a b c d e f g", "b c d e f g h i j"]
    assert shared_ngrams(train, test) == [(0, 0), (0, 2)]


def test_shorter_grams_share_more():
    assert shared_ngrams(["a b c", "c d"], ["b c d"], n=2) == [(0, 0), (1, 0)]
    assert shared_ngrams(["a b"], ["b c"], n=1) == [(0, 0)]


@given(st.lists(st.text("ab ", max_size=12), max_size=4), st.lists(st.text("ab ", max_size=12), max_size=4))
def test_it_agrees_with_the_definition(train: list[str], test: list[str]):
    def grams(text: str) -> set[tuple[str, ...]]:
        parts = text.split()
        return {(parts[i], parts[i + 1]) for i in range(len(parts) - 1)}

    expected = [(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if grams(a) & grams(b)]
    assert shared_ngrams(train, test, n=2) == expected


def test_repeated_encounters_and_texts_are_refused_together_without_a_quotation():
    train = [record(1, "A sore knee."), record(2, "", "A sore hip.")]
    test = [
        record(3, "a SORE knee"),
        record(4, "Other.", encounter="e2"),
        record(5, "", "A sore hip!"),
        record(6, "New."),
    ]
    with pytest.raises(BadInputError) as caught:
        check_disjoint(train, test)
    encounters, texts = caught.value.problems
    assert encounters.got == "1 that do: r4"
    assert texts.got == "2 that do: r3, r5"
    assert "sore" not in str(caught.value)


def test_two_inputs_may_have_one_answer():
    check_disjoint([record(1, "Fever?", "None.")], [record(2, "Cough?", "None.")])


def test_the_clinic_does_not_leak():
    clinic = generate(0, 200, 60)
    check_disjoint(summaries(clinic.train), summaries(clinic.test))
    check_disjoint(references(clinic.train), references(clinic.test))


def test_a_share_tells_stock_phrases_from_repeated_texts() -> None:
    phrase = "do you have any pain in your chest"
    long = f"{phrase} " + " ".join(f"word{i}" for i in range(92))
    train = [f"well {phrase} or not", long]
    assert shared_ngrams(train, [long]) == [(0, 0), (1, 0)]
    # the test text has 100 words and 93 runs of eight, of which the first record holds one
    assert shared_ngrams(train, [long], share=1 / 93) == [(0, 0), (1, 0)]
    assert shared_ngrams(train, [long], share=2 / 93) == [(1, 0)]
    assert shared_ngrams(train, [long], share=1.0) == [(1, 0)]
