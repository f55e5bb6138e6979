"""Looks for text and encounters that training and test data share."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from suture.data.records import Item, Record
from suture.errors import BadInputError, Problem, refuse, some


def words(text: str) -> list[str]:
    """Return the words of `text`: lower case, without punctuation."""
    return re.findall(r"\w+", text.lower())


def text_of(item: Item) -> str:
    """Return all words of an item, as texts are compared: what is asked and what is answered."""
    names = ("context", "input", "question", "prompt_a", "prompt_b", "target", "response_a", "response_b")
    return "\n".join([*(getattr(item, name, "") for name in names), *getattr(item, "options", ())])


def shared_ngrams(
    train: Sequence[str], test: Sequence[str], n: int = 8, *, share: float = 0.0
) -> list[tuple[int, int]]:
    """Return the pairs (train index, test index), sorted, of texts that share `n` consecutive words (n >= 1).

    share: only pairs where the train text holds at least this share, in [0, 1], of the test text's different n-grams;
    with 0 one is enough. Case and punctuation do not count; a text of fewer than `n` words shares nothing.
    """
    grams = [_ngrams(text, n) for text in test]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, held in enumerate(grams):
        for gram in held:
            holders[gram].append(index)
    shared = (
        (i, Counter(j for gram in _ngrams(text, n) for j in holders.get(gram, ()))) for i, text in enumerate(train)
    )
    return sorted((i, j) for i, counts in shared for j, count in counts.items() if count >= share * len(grams[j]))


def check_disjoint(train: Sequence[Record], test: Sequence[Record]) -> None:
    """Raise BadInputError where test records repeat an encounter or a text of the training records.

    Encounters are compared within one source. The text of a record is its input, or its target where there is no input;
    case and punctuation do not count (two inputs may well have one answer). The message counts the test records and
    names them by id; it quotes no text.
    """
    encounters = {(record.source, record.encounter) for record in train}
    texts = {_text(record) for record in train}
    repeated = {
        "encounter": [record.id for record in test if (record.source, record.encounter) in encounters],
        "text": [record.id for record in test if _text(record) in texts],
    }
    problems = []
    for what, ids in repeated.items():
        if ids:
            must = f"No test record may repeat the {what} of a training record."
            problems.append(Problem(must, f"{len(ids)} that do: {some(ids)}", do="Split by encounter or by source."))
    refuse(BadInputError, problems)


def share_verbatim(targets: Sequence[str], corpus: Sequence[str], *, longer_than: int = 80) -> tuple[int, int]:
    """Return (how many, of how many) of the `targets` of more than `longer_than` characters stand in a `corpus` text.

    Word for word: case, punctuation and space do not count.
    """
    haystack = "\0".join(f" {' '.join(words(text))} " for text in corpus)
    needles = [f" {' '.join(words(text))} " for text in targets if len(text) > longer_than]
    return sum(needle in haystack for needle in needles), len(needles)


def _text(record: Record) -> str:
    return " ".join(words(record.input or record.target))


def _ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}
