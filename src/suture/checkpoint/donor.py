"""The donor: which parent gives config, tokenizer, chat template and generation config, and what is copied of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.checkpoint.digest import TOKENIZER_FILES
from suture.errors import Problem

DIFF_LINES, DIFF_WIDTH = 40, 160
COPIED = (
    *TOKENIZER_FILES,
    "generation_config.json",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
)


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


def has_chat_template(folder: Path) -> bool:
    """Say whether the model folder carries a chat template, as a file of its own or in its tokenizer's settings."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    settings = _read_json(folder / "tokenizer_config.json")
    return bool(settings.get("chat_template"))


def vocabulary_digest(folder: Path) -> str | None:
    """Return a digest of the token -> id mapping in tokenizer.json, None where there is no such file."""
    raw = _read_json(folder / "tokenizer.json")
    if not raw:
        return None
    vocabulary = raw.get("model", {}).get("vocab", {})
    added = {token["content"]: token["id"] for token in raw.get("added_tokens", [])}
    return blake3(json.dumps([vocabulary, added], sort_keys=True).encode()).hexdigest()


def donor_files(folder: Path, config: Mapping[str, Any], dtype: str | None) -> dict[str, bytes]:
    """Return the small files of the output, name -> bytes: config.json with the written dtype, the rest as it is.

    Code is never copied: no *.py, and `auto_map` leaves config and tokenizer settings.
    """
    written = {key: value for key, value in config.items() if key not in ("auto_map", "torch_dtype")}
    if dtype is not None:
        written["dtype"] = dtype
    elif "torch_dtype" in config:
        written["dtype"] = config["torch_dtype"]
    files = {"config.json": (json.dumps(written, indent=2, sort_keys=True) + "\n").encode()}
    for name in COPIED:
        if (folder / name).is_file():
            files[name] = (folder / name).read_bytes()
    settings = _read_json(folder / "tokenizer_config.json")
    if settings.pop("auto_map", None) is not None:
        files["tokenizer_config.json"] = json.dumps(settings, indent=2).encode()
    return files


def template_notes(donor: str, folders: Mapping[str, Path]) -> Sequence[str]:
    """Return a sentence and a diff for each model whose chat template differs from the donor's."""

    def template(folder: Path) -> str:
        file = folder / "chat_template.jinja"
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
        return str(_read_json(folder / "tokenizer_config.json").get("chat_template", ""))

    mine = template(folders[donor])
    notes = []
    for name, folder in folders.items():
        other = template(folder)
        if other == mine:
            continue
        what = "differs" if other else "is missing"
        diff = f":\n{template_diff(mine, other, donor, name)}" if other and mine else ""
        notes.append(f"chat template of {name} {what}; the output keeps that of {donor}{diff}")
    return notes


def template_diff(one: str, other: str, from_name: str, to_name: str) -> str:
    """Return the unified diff of two chat templates, of at most DIFF_LINES lines of DIFF_WIDTH characters."""
    found = list(unified_diff(one.splitlines(), other.splitlines(), from_name, to_name, n=1, lineterm=""))
    cut = [line if len(line) <= DIFF_WIDTH else f"{line[: DIFF_WIDTH - 3]}..." for line in found[:DIFF_LINES]]
    left = len(found) - len(cut)
    return "\n".join([*cut, *([f"... and {left} more lines"] if left else [])])


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    data = json.loads(file.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}
