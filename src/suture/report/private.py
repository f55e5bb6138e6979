"""Files that only their owner may read: reports name items and may hold patients' texts."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all, mode 0600 whatever was there."""
    staging = path.with_name(path.name + ".partial")
    staging.unlink(missing_ok=True)
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    staging.replace(path)
