"""Saves a model that runs in memory as a checkpoint folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from suture.checkpoint.writer import refuse_existing


def save_model(model: Any, tokenizer: Any, target: Path) -> None:
    """Write a transformers `model` and `tokenizer` to the new folder `target`, synced, then renamed into place.

    Raises OutputExistsError where `target` exists and is not an empty folder.
    """
    refuse_existing(target)
    staging = target.with_name(f".{target.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    model.save_pretrained(staging, safe_serialization=True)
    tokenizer.save_pretrained(staging)
    for path in staging.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    if target.exists():
        target.rmdir()
    staging.rename(target)
