"""What may stand where an output goes, and the one step in which the output appears there."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from suture.checkpoint.disk import exchange, rename_folder
from suture.checkpoint.manifest import MANIFEST_NAME
from suture.errors import OutputExistsError, Problem

OLD_NAME = "replaced"


def refuse_existing(target: Path, *, overwrite: bool = False) -> None:
    """Raise OutputExistsError where `target` is there and is not an empty folder.

    overwrite: a folder that Suture wrote (its manifest.json says so) is let pass as well.
    """
    if not (target.exists() or target.is_symlink()):
        return
    got, advice = "a folder with files in it", "Choose another folder, or remove it yourself."
    if target.is_symlink():
        got = "a link"
    elif not target.is_dir():
        got = "a file"
    elif not any(target.iterdir()) or (overwrite and _is_ours(target)):
        return
    elif overwrite:
        got = "a folder that Suture did not write (no manifest.json of ours in it)"
    elif _is_ours(target):
        advice = "Choose another folder, or add --overwrite to replace it."
    raise OutputExistsError(Problem("The output folder must be new or empty.", got, str(target), advice))


def put_in_place(folder: Path, target: Path, *, overwrite: bool) -> None:
    """Make `folder`, which is whole and synced, the `target`; whoever looks sees the old one or the new one.

    What `overwrite` replaced stands afterwards beside `folder`'s old place, as `folder` or as OLD_NAME; the caller
    removes it. Where the file system cannot swap two folders in one step, they are renamed one after the other; a kill
    between the two is mended by `restore`.
    """
    refuse_existing(target, overwrite=overwrite)
    if overwrite and target.exists() and any(target.iterdir()):
        if not exchange(folder, target):
            target.rename(folder.with_name(OLD_NAME))
            rename_folder(folder, target)
    else:
        rename_folder(folder, target)


def restore(staging: Path, target: Path) -> None:
    """Give an output its place back that a run was about to replace when it was killed between two renames."""
    if (staging / OLD_NAME).is_dir() and not target.exists():
        (staging / OLD_NAME).rename(target)


def _is_ours(target: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        manifest = json.loads((target / MANIFEST_NAME).read_text(encoding="utf-8"))
        return isinstance(manifest, dict) and "weights_digest" in manifest
    return False
