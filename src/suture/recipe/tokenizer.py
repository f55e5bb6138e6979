"""What a recipe asks of the output's vocabulary: union or one model's, single tokens' rows, padding, chat template.

`TokenizerRequest` is what the plan hands to the code that maps embedding rows; the keys that people write are
`tokenizer:` (full) and `tokenizer_source:` (short).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNION = "union"


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
