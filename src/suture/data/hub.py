"""Data sets from the Hugging Face hub, only when asked: the files of a source, into the hub's own local cache."""

from __future__ import annotations

from pathlib import Path

from suture.data.source import Files, Source
from suture.errors import BadInputError, MissingExtraError, Problem


def fetch(source: Source) -> Files:
    """Download the files of `source` and return them by role. Raises BadInputError where the hub does not have them."""
    if source.hub is None:
        must = f"{source.name} must be fetched by hand."
        raise BadInputError(Problem(must, "no hub copy in its authors' layout", do=f"Get it from {source.url}."))
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtraError(
            Problem("The hub needs huggingface_hub.", "no such package", do="Run: pip install 'suture[model]'")
        ) from None
    hub = source.hub
    try:
        folder = huggingface_hub.snapshot_download(
            hub.name, repo_type="dataset", revision=hub.revision, allow_patterns=list(hub.files.values())
        )
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        got = f"{type(error).__name__}"
        raise BadInputError(Problem(f"The hub must give {hub.name}.", got, do="Check the network.")) from None
    found = {role: sorted(Path(folder).glob(pattern)) for role, pattern in hub.files.items()}
    missing = [hub.files[role] for role, paths in found.items() if len(paths) != 1]
    if missing:
        raise BadInputError(Problem(f"{hub.name} must hold one file each.", f"not for {', '.join(missing)}"))
    return {role: paths[0] for role, paths in found.items()}
