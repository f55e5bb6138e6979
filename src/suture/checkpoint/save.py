"""Saves a model that runs in memory as a checkpoint folder that appears whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from suture.checkpoint.disk import named_errors, sync_folder, sync_tree
from suture.checkpoint.lock import OutputLock
from suture.checkpoint.target import put_in_place, refuse_existing
from suture.errors import Problem, ResourceError


def save_model(model: Any, tokenizer: Any, target: Path) -> None:
    """Write a transformers `model` and `tokenizer` to the new folder `target`, synced, then renamed into place.

    Raises OutputExistsError where `target` exists and is not an empty folder or another run writes it, ResourceError
    where the disk does not take it; nothing is left then.
    """
    from safetensors import SafetensorError

    refuse_existing(target)
    staging = target.with_name(f".{target.name}.partial")
    with named_errors(target, 0):
        target.parent.mkdir(parents=True, exist_ok=True)
        with OutputLock(target):
            try:
                shutil.rmtree(staging, ignore_errors=True)
                staging.mkdir()
                model.save_pretrained(staging, safe_serialization=True)
                tokenizer.save_pretrained(staging)
                sync_tree(staging)
                put_in_place(staging, target, overwrite=False)
            except SafetensorError as error:  # what safetensors makes of an error of the disk
                raise ResourceError(Problem("The disk must take the model.", str(error), str(target))) from None
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            sync_folder(target.parent)
