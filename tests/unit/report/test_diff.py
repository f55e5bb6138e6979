"""The word difference: joined runs give the text back, and just the new words are new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from suture.report.diff import word_diff

TEXTS = st.text(st.sampled_from("ab .,\n"), max_size=30)


def test_new_words_are_marked_without_the_space_before_them() -> None:
    assert word_diff("She takes lisinopril.", "She takes lisinopril 10 mg daily.") == [
        (False, "She takes lisinopril"),
        (False, " "),
        (True, "10 mg daily."),
    ]


def test_case_and_punctuation_do_not_make_a_word_new() -> None:
    assert word_diff("left knee, pain", "Left knee pain.") == [(False, "Left knee pain.")]


def test_everything_is_new_against_nothing() -> None:
    assert word_diff("", "a b") == [(True, "a b")]
    assert word_diff("a b", "") == []


@given(TEXTS, TEXTS)
def test_runs_join_to_the_text(base: str, text: str) -> None:
    assert "".join(run for _, run in word_diff(base, text)) == text


@given(TEXTS)
def test_nothing_is_new_against_itself(text: str) -> None:
    assert not any(new for new, _ in word_diff(text, text))
