"""Rows of special tokens that a model never trained, and the model whose row is taken instead.

A base model has rows for tokens that only its instruct version uses: `<|eot_id|>` and the header tokens of Llama 3
share one value with all reserved tokens. Averaging such a row with the trained one halves what makes the model stop.
Only the rows of added tokens are read, a few hundred of each model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from suture.checkpoint.opened import open_input
from suture.checkpoint.source import Floats, Input, ReaderOf
from suture.checkpoint.token_plan import OutputVocabulary
from suture.checkpoint.token_rows import RowMap
from suture.checkpoint.vocabulary import Vocabulary

Why = Literal["zero", "shared", "ancestor"]


@dataclass(frozen=True, slots=True)
class UntrainedRow:
    """A row that `model` never trained in tensor `tensor`, and `source`, the model whose row stands in for it.

    why: "zero": all zeros. "shared": bit for bit that of another special token. "ancestor": a descendant kept the row
    of the ancestor bit for bit, where another changed it; then the ancestor's own is replaced as well.
    """

    tensor: str
    token: str
    id: int
    model: str
    why: Why
    source: str

    def as_json(self) -> dict[str, object]:
        """For plan and ledger."""
        return asdict(self)


def find_untrained(
    tensor: str,
    inputs: Sequence[Input],
    vocabularies: Sequence[Vocabulary],
    output: OutputVocabulary,
    reader_of: ReaderOf,
    *,
    donor: str,
    ancestor: str | None = None,
) -> tuple[UntrainedRow, ...]:
    """Return the untrained rows of one vocabulary-indexed tensor, in the order of ids, then of models.

    inputs and vocabularies: of each model, in one order. donor: preferred among the models that trained a row; then
    the order decides. ancestor: name of the model that the others descend from, None where it is none of them. Rows
    that no model trained, and tokens that one model alone has, are not among the result.
    """
    rows = [_special_rows(v, given, reader_of) for v, given in zip(vocabularies, inputs, strict=True)]
    whys = [_own_reasons(found) for found in rows]
    names = [v.name for v in vocabularies]
    preferred = sorted(range(len(names)), key=lambda i: names[i] != donor)
    forebear = names.index(ancestor) if ancestor in names else None
    found: list[UntrainedRow] = []
    for token, number in sorted(output.ids.items(), key=lambda item: item[1]):
        holders = [i for i in range(len(names)) if token in rows[i]]
        if len(holders) < 2 or number >= output.rows:
            continue
        reasons: dict[int, Why] = {i: whys[i][token] for i in holders if token in whys[i]}
        if forebear is not None and forebear in holders and len(reasons) < len(holders):
            old = rows[forebear][token]
            same = [i for i in holders if _equal(rows[i][token], old)]
            if 1 < len(same) < len(holders):  # the ancestor, one that kept its row, and one that changed it
                for i in same:
                    reasons.setdefault(i, "ancestor")
        trained = [i for i in preferred if i in holders and i not in reasons]
        if trained:
            source = names[trained[0]]
            found += [UntrainedRow(tensor, token, number, names[i], reasons[i], source) for i in sorted(reasons)]
    return tuple(found)


def with_trained_rows(
    maps: Sequence[RowMap], vocabularies: Sequence[Vocabulary], untrained: Iterable[UntrainedRow]
) -> tuple[RowMap, ...]:
    """Return the maps of one tensor with every untrained row from the model that trained it."""
    names = [v.name for v in vocabularies]
    places: dict[str, dict[int, tuple[int, int]]] = {}
    for row in untrained:
        source = names.index(row.source)
        there = vocabularies[source].row(row.token)
        if there is not None:
            places.setdefault(row.model, {})[row.id] = (source, there)
    return tuple(found.with_rows(places.get(name, {})) for name, found in zip(names, maps, strict=True))


def summaries(untrained: Iterable[UntrainedRow]) -> list[str]:
    """Return one sentence for each tensor, model and reason: how many rows, some tokens, whose row is taken."""
    words: Mapping[str, str] = {
        "zero": "are zero",
        "shared": "are shared by several special tokens",
        "ancestor": "are still the ancestor's",
    }
    groups: dict[tuple[str, str, Why, str], list[str]] = {}
    for row in untrained:
        groups.setdefault((row.tensor, row.model, row.why, row.source), []).append(row.token)
    return [
        f"{tensor}: {len(tokens)} rows of {model} {words[why]} ({', '.join(tokens[:4])}{', ...' * (len(tokens) > 4)}); "
        f"those of {source} are taken"
        for (tensor, model, why, source), tokens in groups.items()
    ]


def _special_rows(vocabulary: Vocabulary, given: Input, reader_of: ReaderOf) -> dict[str, Floats]:
    width = int(np.prod(given.shape)) // vocabulary.rows if vocabulary.rows else 0
    opened = open_input(given, reader_of)
    found = {}
    for token in (str(added["content"]) for added in vocabulary.added):
        number = vocabulary.row(token)
        if number is not None:
            found[token] = np.empty(width, np.float32)
            opened.read_f32(number * width, found[token])
    return found


def _own_reasons(rows: Mapping[str, Floats]) -> dict[str, Why]:
    """What the rows of one model say of themselves. Biases, one number a row, may be equal by chance: not "shared"."""
    reasons: dict[str, Why] = {}
    same: dict[bytes, list[str]] = {}
    for token, row in rows.items():
        if not row.any():
            reasons[token] = "zero"
        elif row.size > 1:
            same.setdefault(row.tobytes(), []).append(token)
    reasons.update({token: "shared" for tokens in same.values() if len(tokens) > 1 for token in tokens})
    return reasons


def _equal(one: Floats, other: Floats) -> bool:
    return one.tobytes() == other.tobytes()
