"""`suture digest MODEL`: the weights digest of a checkpoint, recomputed from its bytes."""

from __future__ import annotations

from typing import Annotated

import typer

from suture.cli.merge import ONLINE


def digest(
    model: Annotated[str, typer.Argument(help="The model's folder, or a hub id in the local cache.")],
    online: Annotated[bool, ONLINE] = False,
) -> None:
    """Print the weights digest of MODEL; where it holds a manifest, compare with it (exit 10 where they differ)."""
    from suture.checkpoint.digest import weights_digest
    from suture.checkpoint.manifest import MANIFEST_NAME, read_manifest
    from suture.checkpoint.resolve import resolve_model
    from suture.errors import IntegrityError, Problem

    folder = resolve_model(model, online=online)
    found = weights_digest(folder)
    typer.echo(found)
    if (folder / MANIFEST_NAME).is_file() and read_manifest(folder)["weights_digest"] != found:
        raise IntegrityError(Problem("The weights must be those that the manifest names.", "others", str(folder)))
