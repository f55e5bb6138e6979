from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.adapt.shots import draw_shots
from suture.data.records import Record
from suture.errors import UsageError


def records(*sizes: int) -> list[Record]:
    return [
        Record(f"{section}-{n}", "made", f"e{section}{n}", f"s{section}", "in", "out", "train", "none")
        for section, size in enumerate(sizes)
        for n in range(size)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(0, 99), st.data())
def test_each_section_stays_within_one_of_its_share(sizes: list[int], seed: int, data: st.DataObject) -> None:
    total = sum(sizes)
    shots = data.draw(st.integers(1, total))
    drawn = draw_shots(records(*sizes), shots, seed)
    assert len({record.id for record in drawn}) == shots
    counts = Counter(record.section for record in drawn)
    assert all(abs(counts[f"s{n}"] - shots * size / total) < 1 for n, size in enumerate(sizes))


def test_fewer_shots_begin_a_longer_draw() -> None:
    pool = records(30, 20, 14)
    longest = draw_shots(pool, 64, 5)
    assert all(draw_shots(pool, shots, 5) == longest[:shots] for shots in (1, 16, 32))


def test_order_of_the_records_does_not_matter_and_the_seed_does() -> None:
    pool = records(10, 10)
    assert draw_shots(pool[::-1], 8, 1) == draw_shots(pool, 8, 1)
    assert draw_shots(pool, 8, 1) != draw_shots(pool, 8, 2)


def test_half_and_half_alternates() -> None:
    drawn = draw_shots(records(4, 4), 8, 0)
    assert all(drawn[n].section != drawn[n + 1].section for n in range(0, 8, 2))


@pytest.mark.parametrize("shots", [0, 5])
def test_shots_outside_the_examples_are_refused(shots: int) -> None:
    with pytest.raises(UsageError, match=r"\[1, 4\]"):
        draw_shots(records(4), shots, 0)
