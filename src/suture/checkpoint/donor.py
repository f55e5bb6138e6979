"""The donor: which parent gives config, tokenizer, chat template and generation config, and what is copied of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.checkpoint.digest import TOKENIZER_FILES
from suture.errors import Problem

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
    """Return a sentence for each model whose chat template file differs from the donor's."""

    def template(folder: Path) -> bytes:
        file = folder / "chat_template.jinja"
        return (
            file.read_bytes()
            if file.is_file()
            else str(_read_json(folder / "tokenizer_config.json").get("chat_template", "")).encode()
        )

    mine = template(folders[donor])
    return [
        f"chat template of {name} differs; the output keeps that of {donor}"
        for name, folder in folders.items()
        if template(folder) != mine
    ]


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    data = json.loads(file.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}
