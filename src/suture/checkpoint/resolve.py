"""Model reference -> folder: a local path, or a hub id that is in the local cache (or is fetched when asked)."""

from __future__ import annotations

import re
from pathlib import Path

from suture.errors import BadInputError, MissingExtraError, Problem

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_PATTERNS = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "*.txt"]


def resolve_model(reference: str, *, online: bool = False) -> Path:
    """Return the folder of a model. A hub id (`org/name@revision`) is looked up in the local cache; only with `online`
    is it downloaded, so that a mistyped path never reaches a network. Raises BadInputError where there is none.
    """
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise BadInputError(Problem("A model must be a folder.", "a file", reference, "Name the folder that holds it."))
    if not _HUB_ID.fullmatch(reference):
        raise BadInputError(Problem("A model must be a folder.", "no such folder", reference, "Check the path."))
    try:
        import huggingface_hub
    except ImportError:
        advice = "Check the path; for hub ids install suture[model]."
        raise MissingExtraError(
            Problem("A model must be a folder or a hub id.", "no such folder", reference, advice)
        ) from None
    name, _, revision = reference.partition("@")
    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision or None, local_files_only=not online, allow_patterns=_PATTERNS
        )
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        advice = "Check the path, or add --online to fetch it from the hub."
        got = f"no such folder, and not in the hub cache ({type(error).__name__})"
        raise BadInputError(Problem("A model must be a folder or a hub id.", got, reference, advice)) from None
    return Path(found)
