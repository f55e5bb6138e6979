"""What a recipe asks of the vocabulary -> the output's tokens and, for each model, where every row comes from.

The rule for a token that a model lacks, as in mergekit 0.1.5: the base's row where it has one; else the row of the only
model that has one; else the mean over those that do. The recipe may name another source for single tokens. Padding
rows are kept: a model's own where it has padding at that row, else that of the model that gives the vocabulary, else
the mean of the model's rows (whose logit can never be the largest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

import numpy as np

from suture.checkpoint.token_rows import MEAN_OF_MODELS, MEAN_OF_ROWS, ZERO, Places, RowMap
from suture.checkpoint.vocabulary import Vocabulary, role_notes
from suture.errors import IncompatibleError, Problem, refuse


class TokenOrigin(Protocol):
    """Where the row of one token comes from, as `suture.recipe.tokenizer.TokenSource` has it."""

    @property
    def kind(self) -> str:
        """`model` or `zero`."""

    @property
    def model(self) -> str | None:
        """Name of the model."""

    @property
    def token(self) -> str | None:
        """Another token of that model."""

    @property
    def token_id(self) -> int | None:
        """A row of that model."""

    @property
    def force(self) -> bool:
        """For all models, also for those that have a row of their own."""


class Request(Protocol):
    """What is asked, as `suture.recipe.tokenizer.TokenizerRequest` has it."""

    @property
    def source(self) -> str | None:
        """`union`, or the name of a model, or None for the giver's."""

    @property
    def tokens(self) -> tuple[tuple[str, TokenOrigin], ...]:
        """Single tokens."""

    @property
    def pad_to_multiple_of(self) -> int | None:
        """Rows of the embedding, a multiple."""


@dataclass(frozen=True)
class NewToken:
    """A token of a union that the giver lacks: its id in the output, and the first model that has it."""

    token: str
    id: int
    owner: str


@dataclass(frozen=True)
class OutputVocabulary:
    """The vocabulary of the output. giver: the model whose ids and tokenizer files it keeps. new: what is added to
    them, in the order of ids. rows: of the embedding. maps: one a model, in the order given. notes: what to tell.
    """

    giver: Vocabulary
    new: tuple[NewToken, ...]
    rows: int
    maps: tuple[RowMap, ...]
    notes: tuple[str, ...]

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Token -> id of the output."""
        return MappingProxyType({**self.giver.ids, **{token.token: token.id for token in self.new}})


def plan_vocabulary(
    request: Request, models: Sequence[Vocabulary], *, giver: str, base: str | None = None
) -> OutputVocabulary:
    """Return the output's vocabulary and the rows of each of `models` in it.

    giver: the model whose vocabulary a union starts from, and that is kept where the request names none: the base where
    there is one, else the donor. Raises IncompatibleError naming, all together: a source that is no model, a token that
    no model has, a token or row that its source lacks.
    """
    by_name = {model.name: model for model in models}
    union = request.source == "union"
    first = giver if union or request.source is None else request.source
    problems = [
        Problem("The vocabulary must be a model's, or union.", repr(name), "tokenizer.source", _choices(by_name))
        for name in (first,)
        if name not in by_name
    ]
    refuse(IncompatibleError, problems)
    start = by_name[first]
    new = _new_tokens(start, models) if union else ()
    ids = {**start.ids, **{token.token: token.id for token in new}}
    origins, problems = _origins(request, ids, by_name)
    refuse(IncompatibleError, problems)
    rows = _rows(start, new, request.pad_to_multiple_of)
    dropped = sorted(token for token, number in ids.items() if number >= rows)
    order = list(models)
    fallback = _Fallback(order, by_name.get(base) if base is not None else None)
    maps = tuple(_map(own, order, start, ids, rows, fallback, origins) for own in range(len(order)))
    notes = [*role_notes(models, start)]
    if new:
        owners = ", ".join(f"{sum(t.owner == o for t in new)} of {o}" for o in dict.fromkeys(t.owner for t in new))
        notes.append(f"the union adds {len(new)} tokens to those of {first}: {owners}")
    if dropped:
        notes.append(f"{len(dropped)} tokens of {first} have no row in its embedding and stay without one")
    return OutputVocabulary(start, new, rows, maps, tuple(notes))


def _choices(by_name: Mapping[str, Vocabulary]) -> str:
    return f"Models: {', '.join(by_name)}."


def _new_tokens(start: Vocabulary, models: Sequence[Vocabulary]) -> tuple[NewToken, ...]:
    """Tokens of the other models that have a row there: in the order of the models, then of their ids."""
    found: dict[str, NewToken] = {}
    for model in models:
        for number in sorted(model.tokens):
            token = model.tokens[number]
            if token not in start.ids and token not in found:
                found[token] = NewToken(token, start.end + len(found), model.name)
    return tuple(found.values())


def _rows(start: Vocabulary, new: Sequence[NewToken], multiple: int | None) -> int:
    """Rows of the output: the giver's, more where tokens need them; or the multiple that holds all tokens."""
    if multiple is None:
        return max(start.rows, start.end + len(new)) if new else start.rows
    return -(-(start.end + len(new)) // multiple) * multiple


def _origins(
    request: Request, ids: Mapping[str, int], by_name: Mapping[str, Vocabulary]
) -> tuple[dict[int, tuple[tuple[str, int] | None, bool]], list[Problem]]:
    """Output id -> ((model, row) or None for zeros, force) for the tokens that the recipe lists."""
    found: dict[int, tuple[tuple[str, int] | None, bool]] = {}
    problems = []
    for token, origin in request.tokens:
        where = f"tokenizer.tokens.{token}"
        if token not in ids:
            problems.append(Problem("A token must be one of the output's.", repr(token), where))
            continue
        if origin.kind == "zero":
            found[ids[token]] = (None, origin.force)
            continue
        model = by_name.get(origin.model or "")
        if model is None:
            must = "The source of a token must be a model of the recipe."
            problems.append(Problem(must, repr(origin.model), where, _choices(by_name)))
            continue
        row = origin.token_id if origin.token_id is not None else model.row(origin.token or token)
        if row is None or row >= model.rows:
            got = f"no row for {origin.token or token!r}" if row is None else f"row {row} of {model.rows}"
            problems.append(Problem("The source of a token must have its row.", got, where))
            continue
        found[ids[token]] = ((model.name, row), origin.force)
    return found, problems


class _Fallback:
    """Where the row of a token comes from for a model that lacks it."""

    def __init__(self, order: Sequence[Vocabulary], base: Vocabulary | None) -> None:
        self._order = order
        self._base = order.index(base) if base is not None else None
        self._found: dict[str, Places] = {}

    def places(self, token: str) -> Places:
        """(model, row) once, or of each model to take the mean of; empty where none has it."""
        if token not in self._found:
            rows = [(number, model.row(token)) for number, model in enumerate(self._order)]
            owners = tuple((number, row) for number, row in rows if row is not None)
            base = [place for place in owners if place[0] == self._base]
            self._found[token] = tuple(base) or owners
        return self._found[token]


def _map(
    own: int,
    order: Sequence[Vocabulary],
    start: Vocabulary,
    ids: Mapping[str, int],
    rows: int,
    fallback: _Fallback,
    origins: Mapping[int, tuple[tuple[str, int] | None, bool]],
) -> RowMap:
    """The rows of the output as model number `own` gives them."""
    mine, giver = order[own], order.index(start)
    model, row = np.full(rows, MEAN_OF_ROWS, np.int16), np.zeros(rows, np.int32)
    _fill_padding(model, row, own, mine, giver, start)
    means: dict[int, Places] = {}
    numbers = {name: number for number, name in enumerate(m.name for m in order)}
    for token, number in ids.items():
        if number >= rows:
            continue
        there = mine.row(token)
        origin, force = origins.get(number, (None, False))
        if number in origins and (force or there is None):
            model[number], row[number] = (numbers[origin[0]], origin[1]) if origin is not None else (ZERO, 0)
        elif there is not None:
            model[number], row[number] = own, there
        else:
            places = fallback.places(token)
            if len(places) == 1:
                model[number], row[number] = places[0]
            elif places:
                model[number], means[number] = MEAN_OF_MODELS, places
            # else no model has a row: the token's row is padding, as filled above
    return RowMap(own, model, row, MappingProxyType(means))


def _fill_padding(
    model: np.ndarray, row: np.ndarray, own: int, mine: Vocabulary, giver: int, start: Vocabulary
) -> None:
    """Rows without a token: the own padding, else the giver's; what neither has is left as it is."""
    for number, vocabulary in ((giver, start), (own, mine)):
        free = np.ones(vocabulary.rows, bool)
        free[[r for r in vocabulary.ids.values() if r < vocabulary.rows]] = False
        there = np.flatnonzero(free[: model.size])
        model[there], row[there] = number, there
