"""Model reference -> folder: a local path, or a hub id that is in the local cache (or is fetched when asked).

The hub's token comes from the environment (HF_TOKEN, or where `hf auth login` keeps it), read by huggingface_hub
itself: it is no part of a recipe, a plan, a log or an error. Code and pickles of a repository are never fetched.
"""

from __future__ import annotations

import re
from pathlib import Path

from suture.checkpoint.folder import foreign_advice
from suture.errors import BadInputError, MissingExtraError, Problem

_HUB_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+(/[\w.-]+)*))?", re.ASCII)
_PATTERNS = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "*.txt"]


def resolve_model(reference: str, *, online: bool = False) -> Path:
    """Return the folder of a model. A hub id (`org/name@revision`) is looked up in the local cache; only with `online`
    is it downloaded, so that a mistyped path never reaches a network. Raises BadInputError where there is none.
    """
    if "\0" in reference:
        raise BadInputError(Problem("A model must be a folder or a hub id.", "NUL in its name", ascii(reference[:60])))
    try:
        folder = Path(reference).expanduser()
        is_folder, exists = folder.is_dir(), folder.exists()
    except (OSError, RuntimeError) as error:  # a name too long, a folder that may not be entered, no such user
        must, got = "A model must be a folder that can be read.", type(error).__name__
        raise BadInputError(Problem(must, got, reference[:200], "Check the path.")) from None
    if is_folder:
        return folder
    if exists:
        do = foreign_advice(folder.name) or "Name the folder that holds it."
        raise BadInputError(Problem("A model must be a folder.", "a file", reference, do))
    hub_id = _HUB_ID.fullmatch(reference)
    if hub_id is None or ".." in reference:
        raise BadInputError(Problem("A model must be a folder.", "no such folder", reference, "Check the path."))
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        advice = "Check the path; for hub ids install suture[model]."
        raise MissingExtraError(
            Problem("A model must be a folder or a hub id.", "no such folder", reference, advice)
        ) from None
    errors = (OSError, ValueError, HfHubHTTPError)
    try:
        found = huggingface_hub.snapshot_download(
            hub_id["name"], revision=hub_id["revision"], local_files_only=not online, allow_patterns=_PATTERNS
        )
    except errors as error:
        # The text of the library's error holds addresses and may hold headers; its class says enough.
        raise BadInputError(_not_found(reference, type(error).__name__, online)) from None
    return Path(found)


def _not_found(reference: str, kind: str, online: bool) -> Problem:
    must = "A model must be a folder or a hub id."
    if not online:
        advice = "Check the path, or add --online to fetch it from the hub."
        return Problem(must, f"no such folder, and not in the hub cache ({kind})", reference, advice)
    advice = "Check the name and the revision"
    if kind in ("GatedRepoError", "RepositoryNotFoundError"):
        advice += "; a private or gated model needs your token in HF_TOKEN, and its terms accepted on the hub"
    return Problem(must, f"no such folder, and not fetched from the hub ({kind})", reference, f"{advice}.")
