"""Drafts follow what stood in the text before, grow while they are right, and are short again once they are not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from suture.evaluate.drafts import GRAM, LONGEST, Draft


def test_a_text_without_repeats_has_no_draft() -> None:
    assert Draft(range(20)).propose(8) == []
    assert Draft([]).propose(8) == []


def test_what_followed_is_proposed_and_goes_round() -> None:
    draft = Draft([1, 2, 3, 4, 1, 2, 3])
    assert draft.propose(8) == [4]
    draft.extend([4, 1], proposed=1)  # the draft was right
    assert draft.propose(8) == [2, 3]
    draft.extend([2, 3, 4], proposed=2)
    assert draft.propose(3) == [1, 2, 3]
    assert draft.propose(8) == [1, 2, 3, 4]
    draft.extend([1, 2, 3, 4, 1], proposed=4)
    assert draft.propose(8) == [2, 3, 4, 1, 2, 3, 4, 1]


def test_the_last_time_counts() -> None:
    assert Draft([1, 2, 3, 8, 1, 2, 3, 9, 1, 2, 3]).propose(1) == [9]


def test_a_wrong_draft_makes_the_next_one_short() -> None:
    draft = Draft([1, 2, 3, 4] * 20)
    for length in (1, 2, 4, 8):
        proposed = draft.propose(99)
        assert len(proposed) == length
        draft.extend([*proposed, 1 + draft.ids[-1] % 4 if not proposed else 1 + proposed[-1] % 4], len(proposed))
    draft.extend([77], proposed=16)  # none of them was right
    draft.extend([1, 2, 3], proposed=0)
    assert len(draft.propose(99)) == 1


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(0, 40))
def test_every_draft_follows_an_earlier_place(text: list[int], most: int) -> None:
    draft = Draft(text)
    proposed = draft.propose(most)
    assert len(proposed) <= min(most, LONGEST)
    if proposed:
        before = [k for k in range(GRAM, len(text)) if text[k - GRAM : k] == text[-GRAM:]]
        assert proposed[0] == text[before[-1]]
