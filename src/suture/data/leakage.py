"""Looks for text and encounters that training and test data share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from suture.data.records import Record
from suture.errors import BadInputError, Problem, refuse


def words(text: str) -> list[str]:
    """Return the words of `text`: lower case, without punctuation."""
    return re.findall(r"\w+", text.lower())


def shared_ngrams(train: Sequence[str], test: Sequence[str], n: int = 8) -> list[tuple[int, int]]:
    """Return the pairs (train index, test index), sorted, of texts that share `n` consecutive words (n >= 1).

    Case and punctuation do not count; a text of fewer than `n` words shares nothing.
    """
    holders: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for index, text in enumerate(test):
        for gram in _ngrams(text, n):
            holders[gram].add(index)
    pairs = {(i, j) for i, text in enumerate(train) for gram in _ngrams(text, n) for j in holders.get(gram, ())}
    return sorted(pairs)


def check_disjoint(train: Sequence[Record], test: Sequence[Record]) -> None:
    """Raise BadInputError where test records repeat an encounter, an input or a target of the training records.

    Encounters are compared within one source, texts across all by their words; empty texts repeat nothing. The message counts and
    names test records by id, and quotes no text.
    """
    sides: dict[str, tuple[set[object], list[tuple[str, object]]]] = {
        "encounter": (
            {(record.source, record.encounter) for record in train},
            [(record.id, (record.source, record.encounter)) for record in test],
        ),
        "input": ({_key(record.input) for record in train}, [(record.id, _key(record.input)) for record in test]),
        "target": ({_key(record.target) for record in train}, [(record.id, _key(record.target)) for record in test]),
    }
    problems = []
    for what, (known, asked) in sides.items():
        repeated = [identity for identity, key in asked if key and key in known]
        if repeated:
            named = ", ".join(repeated[:5]) + (", ..." if len(repeated) > 5 else "")
            must = f"No test record may repeat the {what} of a training record."
            problems.append(Problem(must, f"{len(repeated)} that do: {named}", do="Split by encounter or by source."))
    refuse(BadInputError, problems)


def _key(text: str) -> str:
    return " ".join(words(text))


def _ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}
