"""Canonical items as documents of lm-evaluation-harness: what its task files call (`custom_dataset`).

    lm_eval --include_path <suture>/tasks/harness --tasks suture_medqa --metadata '{"data": "DIR"}' ...

DIR is a folder of official files or one that `suture data prepare` wrote; the variable SUTURE_DATA may name it instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from suture.data.prepare import Loaded, load
from suture.data.records import Choice, Record
from suture.errors import Problem, UsageError

VARIABLE = "SUTURE_DATA"


def documents(*, dataset: str, section: str = "", data: str | None = None, **_: object) -> dict[str, Any]:
    """Return {"test": a `datasets.Dataset`} of one data set, of one of its sections only where `section` is given."""
    from datasets import Dataset

    folder = data or os.environ.get(VARIABLE)
    if not folder:
        do = f'Give --metadata \'{{"data": "DIR"}}\' or set {VARIABLE}.'
        raise UsageError(Problem("The data folder must be known.", "none", do=do))
    return {"test": Dataset.from_list(as_documents(of_section(load(dataset, Path(folder)), section)))}


def of_section(loaded: Loaded, section: str) -> list[Record] | list[Choice]:
    """Return the items of one section, all where `section` is empty."""
    return [item for item in loaded.items if not section or item.section == section]  # type: ignore[return-value]


def as_documents(items: Sequence[Record | Choice]) -> list[dict[str, Any]]:
    """Return the items as the documents that the task files know; a question is its item's input too."""
    rows = [asdict(item) | ({"input": item.question} if isinstance(item, Choice) else {}) for item in items]
    return [{key: value for key, value in row.items() if key != "facts"} for row in rows]
