"""Vocabularies of model folders: token -> id, read from tokenizer.json and compared by content, not by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from suture.checkpoint.folder import read_small
from suture.checkpoint.strict_json import StrictJsonError, parse_object
from suture.errors import BadInputError, IncompatibleError, Problem, refuse

TOKENIZER_NAME, SETTINGS_NAME, GENERATION_NAME = "tokenizer.json", "tokenizer_config.json", "generation_config.json"
SPECIAL_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
SHOWN = 8


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of one model.

    ids: all tokens, added ones included. added: the added tokens as tokenizer.json has them, in the order of their
    ids. rows: rows of the embedding, which may be more than tokens (padding) or fewer (tokens without a row).
    roles: bos_token, eos_token, ... -> token.
    """

    name: str
    ids: Mapping[str, int]
    added: tuple[Mapping[str, Any], ...]
    rows: int
    roles: Mapping[str, str]

    @cached_property
    def tokens(self) -> Mapping[int, str]:
        """Id -> token, for ids that have a row."""
        return MappingProxyType({row: token for token, row in self.ids.items() if row < self.rows})

    @property
    def end(self) -> int:
        """One more than the largest id."""
        return max(self.ids.values(), default=-1) + 1

    def row(self, token: str) -> int | None:
        """The row of a token, None where the model has none for it."""
        found = self.ids.get(token)
        return found if found is not None and found < self.rows else None


def read_vocabulary(name: str, folder: Path, rows: int) -> Vocabulary:
    """Read the vocabulary of the model `name` in `folder`, whose embedding has `rows` rows.

    Raises BadInputError where there is no tokenizer.json, or one that is not BPE, Unigram, WordPiece or WordLevel.
    """
    raw = read_tokenizer(folder)
    where = str(folder / TOKENIZER_NAME)
    model = raw.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, list):  # Unigram: [piece, score], the id is the position
        ids: dict[str, Any] = {
            str(entry[0]): position for position, entry in enumerate(vocabulary) if isinstance(entry, list) and entry
        }
    else:
        ids = dict(vocabulary) if isinstance(vocabulary, dict) else {}
    added = [token for token in raw.get("added_tokens") or [] if isinstance(token, dict)]
    ids.update({str(token.get("content")): token.get("id") for token in added})
    if not ids or any(type(value) is not int or value < 0 for value in ids.values()):
        raise BadInputError(Problem("tokenizer.json must map tokens to ids.", "none, or others", where))
    if len(set(ids.values())) != len(ids):
        twice = len(ids) - len(set(ids.values()))
        raise BadInputError(Problem("An id must stand for one token.", f"{twice} ids for several", where))
    added.sort(key=lambda token: token["id"])
    return Vocabulary(name, MappingProxyType(ids), tuple(added), rows, MappingProxyType(_roles(folder)))


def read_tokenizer(folder: Path) -> dict[str, Any]:
    """Return the parsed tokenizer.json of a folder. Raises BadInputError where there is none."""
    if not (folder / TOKENIZER_NAME).is_file():
        must = "A model of another vocabulary must hold tokenizer.json."
        advice = "Save its tokenizer with transformers (use_fast=True) into the folder."
        raise BadInputError(Problem(must, "none", str(folder), advice))
    return read_json(folder, TOKENIZER_NAME)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a small file of a folder; empty without the file. Raises BadInputError for others."""
    if not (folder / name).is_file():
        return {}
    try:
        return parse_object(read_small(folder, name), constants=True)
    except StrictJsonError as error:
        must = "The file must be one JSON object with unique keys."
        raise BadInputError(Problem(must, str(error), str(folder / name), "Fetch it again.")) from None


def _roles(folder: Path) -> dict[str, str]:
    found = {}
    for role in SPECIAL_ROLES:
        for name in (SETTINGS_NAME, "special_tokens_map.json"):
            value = read_json(folder, name).get(role)
            content = value.get("content") if isinstance(value, dict) else value
            if isinstance(content, str) and role not in found:
                found[role] = content
    return found


def same_vocabulary(one: Vocabulary, other: Vocabulary) -> bool:
    """Whether every token has the same id in both."""
    return one.ids == other.ids


def require_same(vocabularies: Sequence[Vocabulary]) -> None:
    """Raise IncompatibleError naming, for each model that differs from the first, tokens that do."""
    first = vocabularies[0]
    problems = []
    for other in vocabularies[1:]:
        if same_vocabulary(first, other):
            continue
        only = [token for token in other.ids if token not in first.ids]
        lost = [token for token, row in first.ids.items() if other.ids.get(token) != row]
        differing = sorted(only, key=other.ids.__getitem__) + sorted(lost, key=first.ids.__getitem__)
        moved = [token for token in differing if token in first.ids and token in other.ids]
        some = ", ".join(repr(token[:40]) for token in differing[:SHOWN])
        more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        got = f"{len(differing)} other tokens ({len(moved)} of them at another id): {some}{more}"
        advice = "Ask for one vocabulary: tokenizer: {source: union}, or the name of a model."
        problems.append(Problem(f"The vocabulary must be that of {first.name}.", got, other.name, advice))
    refuse(IncompatibleError, problems)


def role_notes(vocabularies: Sequence[Vocabulary], giver: Vocabulary) -> list[str]:
    """Return a sentence for each special token that another model writes differently."""
    return [
        f"{role} of {other.name} is {other.roles[role]!r}; the output has {giver.roles.get(role)!r} of {giver.name}"
        for other in vocabularies
        if other is not giver
        for role in SPECIAL_ROLES
        if role in other.roles and other.roles[role] != giver.roles.get(role)
    ]
