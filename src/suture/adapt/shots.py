"""Few-shot draws: nested (16 within 32 within 64) and stratified by section, so that shot counts can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from random import Random

from suture.data.records import Record
from suture.errors import Problem, UsageError


def draw_shots(records: Sequence[Record], shots: int, seed: int) -> list[Record]:
    """Return `shots` of `records`; a draw of fewer with the same seed is its beginning.

    In a draw of k every section of share p has more than k p - 1 and fewer than k p + 1 records. The order of `records`
    does not matter. Source of the schedule: Tijdeman, The chairman assignment problem, Discrete Mathematics 32 (1980).
    Raises UsageError where shots is not in [1, number of records].
    """
    if not 1 <= shots <= len(records):
        raise UsageError(
            Problem(f"shots must be in [1, {len(records)}], the number of examples.", str(shots), do="Draw fewer.")
        )
    sections: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.id):
        sections[record.section].append(record)
    for name, members in sections.items():
        Random(f"{seed}:{name}").shuffle(members)
    order = sorted(sections)
    Random(f"{seed}").shuffle(order)
    turns = _schedule([len(sections[name]) for name in order], shots)
    return [sections[order[turn]].pop() for turn in turns]


def _schedule(sizes: Sequence[int], length: int) -> list[int]:
    """Return which of len(sizes) parts takes each of the first `length` turns so that none is a whole turn off."""
    shares = [Fraction(size, sum(sizes)) for size in sizes]
    slack = Fraction(1, 2 * len(sizes) - 2) if len(sizes) > 1 else Fraction(0)
    taken = [0] * len(sizes)
    turns: list[int] = []
    for turn in range(1, length + 1):
        due = [part for part, share in enumerate(shares) if turn * share - taken[part] >= slack]
        part = min(due, key=lambda part: (taken[part] + 1 - slack) / shares[part])
        taken[part] += 1
        turns.append(part)
    return turns
