"""The tokenizer files of an output whose vocabulary is a union, and the special ids of config and generation config.

New tokens get the ids after the giver's. Those that are added tokens in their model become added tokens with the same
flags. Ordinary pieces of BPE, WordPiece and WordLevel go into the vocabulary without merges, where the tokenizer finds
them only if it looks up whole words; those of Unigram become added tokens. The giver's tokenisation of ordinary text
stays as it is.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suture.checkpoint.token_plan import OutputVocabulary
from suture.checkpoint.vocabulary import (
    GENERATION_NAME,
    SETTINGS_NAME,
    TOKENIZER_NAME,
    Vocabulary,
    read_json,
    read_tokenizer,
)

STALE = ("tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json", "vocab.txt", "spiece.model")
"""Files of a slow tokenizer, which hold the giver's vocabulary only: not part of an output with another one."""

ID_KEYS = (
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id"),
    *("forced_eos_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id"),
    *("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id", "image_token_index"),
    *("boi_token_id", "eoi_token_id", "boi_token_index", "eoi_token_index", "audio_token_id"),
)


def union_files(output: OutputVocabulary, folders: Mapping[str, Path]) -> dict[str, bytes]:
    """Return tokenizer.json and tokenizer_config.json of a union, name -> bytes; nothing where nothing is new."""
    if not output.new:
        return {}
    folder = folders[output.giver.name]
    raw = read_tokenizer(folder)
    flags = _flags(output, folders)
    model = raw["model"]
    listed = isinstance(model["vocab"], list)
    if not listed:  # all ids stand in the vocabulary, so that added tokens keep theirs however they are loaded
        model["vocab"] = dict(sorted(output.ids.items(), key=lambda item: item[1]))
    for token in output.new:
        if token.token in flags or listed:
            raw["added_tokens"] = [*(raw.get("added_tokens") or []), _added(token.token, token.id, flags)]
    settings = read_json(folder, SETTINGS_NAME)
    settings.pop("auto_map", None)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        for token in output.new:
            if token.token in flags or listed:
                entry = _added(token.token, token.id, flags)
                decoder[str(entry.pop("id"))] = entry
    return {TOKENIZER_NAME: json_bytes(raw), SETTINGS_NAME: json_bytes(settings)}


def _flags(output: OutputVocabulary, folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """The flags of the new tokens that are added tokens of their owner."""
    found: dict[str, dict[str, Any]] = {}
    for owner in dict.fromkeys(token.owner for token in output.new):
        mine = {token.token for token in output.new if token.owner == owner}
        for added in read_tokenizer(folders[owner]).get("added_tokens") or []:
            if isinstance(added, dict) and added.get("content") in mine:
                found[added["content"]] = copy.copy(added)
    return found


def _added(token: str, number: int, flags: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return {**plain, **flags.get(token, {}), "id": number, "content": token}


def remapped_ids(config: Mapping[str, Any], donor: Vocabulary, output: OutputVocabulary) -> dict[str, Any]:
    """Return a copy of a config (or generation config) whose token ids name the same tokens in the output.

    Parts such as text_config follow. An id without a token of the donor stays, as does a token the output lacks.
    """
    ids = output.ids

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(one) for one in value]
        if type(value) is not int or value not in donor.tokens:
            return value
        return ids.get(donor.tokens[value], value)

    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found[key] = remapped_ids(value, donor, output)
        else:
            found[key] = moved(value) if key in ID_KEYS else value
    return found


def resized(config: Mapping[str, Any], before: int, rows: int) -> dict[str, Any]:
    """Return a copy of a config whose `vocab_size`, there and in its parts, is `rows` where it was `before`."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found[key] = resized(value, before, rows)
        else:
            found[key] = rows if key == "vocab_size" and value == before else value
    return found


def stop_tokens(folder: Path) -> tuple[int, ...]:
    """Return the ids that end an answer of the model in `folder`: of generation_config.json, else of config.json."""
    for name in (GENERATION_NAME, "config.json"):
        raw = read_json(folder, name)
        inner = raw.get("text_config")
        found = raw.get("eos_token_id", inner.get("eos_token_id") if isinstance(inner, dict) else None)
        ids = found if isinstance(found, list) else [found]
        if all(type(one) is int for one in ids):
            return tuple(ids)
    return ()


def stop_token_note(folder: Path, vocabulary: Vocabulary) -> str | None:
    """Say what is wrong with the stop tokens of the model that gives the chat template, None where nothing is.

    Checked: that there are some, and that the tokenizer's own eos_token is among them.
    """
    stops = stop_tokens(folder)
    if not stops:
        return f"{vocabulary.name} names no stop token in {GENERATION_NAME} or config.json: answers may not end"
    role = vocabulary.roles.get("eos_token")
    if role is not None and role in vocabulary.ids and vocabulary.ids[role] not in stops:
        return f"eos_token {role!r} of {vocabulary.name} is not among its stop tokens {list(stops)}"
    return None


def generation_file(folder: Path, donor: Vocabulary, output: OutputVocabulary) -> dict[str, bytes]:
    """Return generation_config.json of the donor in the output's ids; nothing where the donor has none."""
    raw = read_json(folder, GENERATION_NAME)
    return {GENERATION_NAME: json_bytes(remapped_ids(raw, donor, output))} if raw else {}


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """JSON as transformers writes it."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
