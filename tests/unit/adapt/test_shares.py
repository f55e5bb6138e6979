from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.adapt.settings import Settings
from suture.adapt.shares import Share, portions, shares
from suture.errors import UsageError


def settings(**changes: Any) -> Settings:
    return Settings(**{"steps": 1, "batch": 4, "accumulate": 4, "length": 8, "learning_rate": 1e-3} | changes)


def test_whole_batches_go_to_different_processes() -> None:
    assert portions(settings(), 2) == (4, 2)
    first, second = (shares(range(16), [3] * 16, settings(), 2, rank) for rank in range(2))
    assert first == [Share([0, 1, 2, 3], 1.0), Share([8, 9, 10, 11], 1.0)]
    assert second == [Share([4, 5, 6, 7], 1.0), Share([12, 13, 14, 15], 1.0)]


def test_a_batch_that_is_cut_weighs_by_the_tokens_that_are_learnt() -> None:
    chosen = settings(accumulate=1)
    assert portions(chosen, 2) == (2, 1)
    learnt = [1, 2, 4, 1]
    assert shares([3, 0, 2, 1], learnt, chosen, 2, 0) == [Share([3, 0], 2 * 2 / 8)]
    assert shares([3, 0, 2, 1], learnt, chosen, 2, 1) == [Share([2, 1], 2 * 6 / 8)]


def test_a_process_without_a_part_of_a_short_batch_weighs_nothing() -> None:
    chosen = settings(batch=2, accumulate=1)
    assert shares([5, 6, 7], [1] * 8, chosen, 2, 0) == [Share([5], 1.0), Share([7], 2.0)]
    assert shares([5, 6, 7], [1] * 8, chosen, 2, 1) == [Share([6], 1.0), Share([5], 0.0)]


def test_what_cannot_be_shared_evenly_is_refused() -> None:
    assert portions(settings(), 8) == (2, 1)
    with pytest.raises(UsageError, match=r"16 sequences .* Got 3 processes"):
        portions(settings(), 3)


@given(
    learnt=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    batch=st.integers(1, 6),
    accumulate=st.integers(1, 6),
    count=st.integers(1, 12),
    data=st.data(),
)
def test_the_mean_over_processes_is_the_loss_of_one(
    learnt: list[int], batch: int, accumulate: int, count: int, data: st.DataObject
) -> None:
    chosen = settings(batch=batch, accumulate=accumulate)
    if batch * accumulate % count:
        with pytest.raises(UsageError):
            portions(chosen, count)
        return
    order = data.draw(st.permutations(range(len(learnt))))
    loss = data.draw(st.lists(st.integers(0, 20), min_size=len(learnt), max_size=len(learnt)))  # of a sequence's tokens

    def mean(sequences: Any) -> Fraction:
        return Fraction(sum(loss[i] for i in sequences), sum(learnt[i] for i in sequences))

    batches = [order[at : at + batch] for at in range(0, len(order), batch)]
    updates = [batches[at : at + accumulate] for at in range(0, len(batches), accumulate)]
    wanted = [sum(map(mean, update)) / len(update) for update in updates]
    ranks = [shares(order, learnt, chosen, count, rank) for rank in range(count)]
    size, often = portions(chosen, count)
    assert len({len(found) for found in ranks}) == 1
    assert all(1 <= len(share.sequences) <= size <= batch for found in ranks for share in found)
    assert ceil(len(ranks[0]) / often) == len(updates)
    for at, update in enumerate(wanted):
        taken = [found[at * often : (at + 1) * often] for found in ranks]
        sums = [sum(share.weight * float(mean(share.sequences)) for share in part) / len(part) for part in taken]
        assert sum(sums) / count == pytest.approx(float(update), abs=1e-9)
    seen = [i for found in ranks for share in found if share.weight for i in share.sequences]
    assert sorted(seen) == sorted(order)
