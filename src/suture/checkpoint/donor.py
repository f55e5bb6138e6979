"""The donor: which parent gives config, tokenizer, chat template and generation config, and what is copied of it."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.checkpoint.digest import TOKENIZER_FILES
from suture.checkpoint.folder import read_small
from suture.checkpoint.vocabulary import read_json
from suture.errors import BadInputError, Problem

COPIED = (
    *TOKENIZER_FILES,
    "generation_config.json",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
)
DIFF_LINES = 24
DIFF_SOURCE = 500
DIFF_WIDTH = 160
_LEFT_OUT = ("auto_map", "quantization_config", "compression_config")


def choose_donor(general: str | None, base: str | None, folders: Mapping[str, Path]) -> str | Problem:
    """Return the donor's reference by the rule: general, else the one with a chat template, else the base.

    folders maps each model's reference to its folder. Returns a Problem naming the choices where the rule is silent.
    """
    if general is not None:
        return general
    with_template = [name for name, folder in folders.items() if has_chat_template(folder)]
    if len(with_template) == 1:
        return with_template[0]
    if base is not None:
        return base
    got = f"{len(with_template)} of {len(folders)} models with a chat template, and no base_model"
    advice = f"Add 'general:' with one of: {', '.join(folders)}."
    return Problem("One model must give tokenizer and chat template.", got, "general", advice)


def vocabulary_digest(folder: Path) -> str | None:
    """Return a digest of the token -> id mapping in tokenizer.json, None where there is no such file.

    Raises BadInputError for a tokenizer.json of another form.
    """
    raw = read_json(folder, "tokenizer.json")
    if not raw:
        return None
    try:
        vocabulary = raw.get("model", {}).get("vocab", {})
        added = {token["content"]: token["id"] for token in raw.get("added_tokens") or []}
        return blake3(json.dumps([vocabulary, added], sort_keys=True).encode()).hexdigest()
    except (AttributeError, KeyError, TypeError):
        must = "tokenizer.json must hold model.vocab and added_tokens."
        raise BadInputError(Problem(must, "another form", str(folder / "tokenizer.json"), "Fetch it again.")) from None


def donor_files(folder: Path, config: Mapping[str, Any], dtype: str | None) -> dict[str, bytes]:
    """Return the small files of the output, name -> bytes: config.json with the written dtype, the rest as it is.

    Code is never copied: no *.py, and `auto_map` leaves config and tokenizer settings. A chat template is copied as
    bytes, not rendered. The output is not quantised, so the config does not say so. Raises BadInputError for a file
    that is a link out of the folder.
    """
    written = {key: value for key, value in config.items() if key not in (*_LEFT_OUT, "torch_dtype")}
    for key, part in written.items():
        if isinstance(part, dict):
            written[key] = {inner: value for inner, value in part.items() if inner not in _LEFT_OUT}
    if dtype is not None:
        written["dtype"] = dtype
    elif "torch_dtype" in config:
        written["dtype"] = config["torch_dtype"]
    files = {"config.json": (json.dumps(written, indent=2, sort_keys=True) + "\n").encode()}
    for name in COPIED:
        if (folder / name).is_file():
            files[name] = read_small(folder, name)
    for name in ("tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        settings = read_json(folder, name)
        if settings.pop("auto_map", None) is not None:
            files[name] = json.dumps(settings, indent=2).encode()
    return files


def chat_template(folder: Path) -> str:
    """Return the chat template of a model folder as text, from its file or its tokenizer's settings; "" without one.

    Several named templates are shown as JSON. It is never rendered here.
    """
    if (folder / "chat_template.jinja").is_file():
        return read_small(folder, "chat_template.jinja").decode("utf-8", errors="replace")
    for name in ("chat_template.json", "tokenizer_config.json"):
        found = read_json(folder, name).get("chat_template")
        if found:
            return found if isinstance(found, str) else json.dumps(found, indent=1)
    return ""


def has_chat_template(folder: Path) -> bool:
    """Say whether the model folder carries a chat template, as a file of its own or in its tokenizer's settings."""
    return bool(chat_template(folder))


def template_notes(donor: str, folders: Mapping[str, Path]) -> Sequence[str]:
    """Return a note for each model whose chat template differs from the donor's: a sentence, and the lines that differ.

    Characters that could move a terminal's cursor are escaped.
    """
    mine = chat_template(folders[donor])
    notes = []
    for name, folder in folders.items():
        other = chat_template(folder)
        if other == mine:
            continue
        if not other:
            notes.append(f"chat template of {name} differs (it has none); the output keeps that of {donor}")
            continue
        difference = difflib.unified_diff(_lines(mine), _lines(other), donor, name, lineterm="", n=0)
        shown = list(itertools.islice(difference, DIFF_LINES + 1))
        if len(shown) > DIFF_LINES:
            shown[-1] = "..."
        told = "\n".join([f"chat template of {name} differs; the output keeps that of {donor}", *shown])
        notes.append(told)
    return notes


def _lines(template: str) -> list[str]:
    """The template's lines, long ones cut, for a diff whose cost is bounded."""
    lines = template.split("\n", DIFF_SOURCE)[:DIFF_SOURCE]
    return ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in line[:DIFF_WIDTH]) for line in lines]
