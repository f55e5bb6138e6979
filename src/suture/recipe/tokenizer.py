"""What a recipe asks of the output's vocabulary: union or one model's, single tokens' rows, padding, chat template.

`TokenizerRequest` is what the plan hands to the code that maps embedding rows; the keys that people write are
`tokenizer:` (full) and `tokenizer_source:` (short).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from suture.recipe.references import ReferenceText
from suture.recipe.templates import template_named
from suture.strict_yaml import StrictModel

UNION, BASE = "union", "base"


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where the embedding row of one token comes from.

    kind "model": from the reference `model`: the row that it has for this token, or for `token` or `token_id` where one
    of them is given (at most one is). kind "zero": a row of zeros. force: for all models, also for those that have a
    row of their own for the token; without, only for those that lack it.
    """

    kind: Literal["model", "zero"]
    model: str | None = None
    token: str | None = None
    token_id: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class TokenizerRequest:
    """The vocabulary of the output.

    source: "union", or the reference of a model of the recipe ("base" is already resolved to it); None keeps the
    donor's, which every model must then share. tokens: (token, its source) as listed. pad_to_multiple_of: rows of the
    embedding, a positive multiple (None: as the source has it). chat_template: Jinja source that replaces the donor's
    (named ones are already resolved), "auto" for the one most frequent among the models, None for the donor's.
    """

    source: str | None = None
    tokens: tuple[tuple[str, TokenSource], ...] = ()
    pad_to_multiple_of: int | None = None
    chat_template: str | None = None


class TokenRow(StrictModel):
    """Where a token's row comes from, as written in full."""

    kind: Literal["zero", "model_token"]
    model: ReferenceText | None = None
    token: str | None = None
    token_id: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        given = [key for key in ("model", "token", "token_id") if getattr(self, key) is not None]
        if self.kind == "zero" and given:
            raise ValueError(f"kind zero takes no {' and no '.join(given)}")
        if self.kind == "model_token" and (self.model is None or len(given) != 2):
            raise ValueError("kind model_token takes model, and either token or token_id")
        return self


class TokenKeys(StrictModel):
    """One entry of `tokenizer.tokens`."""

    source: ReferenceText | TokenRow
    force: bool = False


class TokenizerKeys(StrictModel):
    """The key `tokenizer`."""

    source: ReferenceText = UNION
    tokens: dict[str, TokenKeys] = Field(default_factory=dict)
    pad_to_multiple_of: Annotated[int, Field(ge=1)] | None = None


def requested(
    full: TokenizerKeys | None, short: str | None, chat_template: str | None, base: str | None
) -> TokenizerRequest:
    """Return what the keys `tokenizer`, `tokenizer_source` and `chat_template` ask for."""
    keys = full or TokenizerKeys(source=short or UNION)
    source = (base if keys.source == BASE else keys.source) if full is not None or short is not None else None
    tokens = tuple((token, _token_source(entry)) for token, entry in keys.tokens.items())
    template = template_named(chat_template) if chat_template is not None else None
    return TokenizerRequest(source, tokens, keys.pad_to_multiple_of, template)


def _token_source(entry: TokenKeys) -> TokenSource:
    row = entry.source
    if isinstance(row, str):
        return TokenSource("model", model=row, force=entry.force)
    if row.kind == "zero":
        return TokenSource("zero", force=entry.force)
    return TokenSource("model", row.model, row.token, row.token_id, entry.force)
