"""Item rows: every score keeps the items it was made of, as Parquet beside a `meta.json`.

    results/<weights digest, 12>/<task>/items.parquet     one row an item, columns below, mode 0600
    results/<weights digest, 12>/<task>/meta.json         protocol, signatures, decoding, engine, versions, key

Columns: model_digest, task, item_id, cluster_id, prompt_digest, response, answer, finish_reason, verdicts, tokens,
seconds, and a double `score.<metric>` a metric, NaN where unscored. verdicts is JSON text, filled for tasks of
verifiable instructions: what each one got, in order. Results of before it was kept lack the column.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, Problem

TEXT_COLUMNS = ("model_digest", "task", "item_id", "cluster_id", "prompt_digest", "response", "answer", "finish_reason")
LATER_COLUMNS = ("verdicts",)  # absent in results that an earlier version wrote


@dataclass(frozen=True, slots=True)
class ItemRow:
    """What one model answered to one item. scores maps a metric's name to its value in the metric's own unit.

    verdicts: JSON text of the verdict on each verifiable instruction (`suture.evaluate.repaired`), else "".
    """

    model_digest: str
    task: str
    item_id: str
    cluster_id: str
    prompt_digest: str
    response: str = ""
    answer: str = ""
    finish_reason: str = ""
    tokens: int = 0
    seconds: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    verdicts: str = ""


def write_rows(folder: Path, rows: Sequence[ItemRow], meta: Mapping[str, Any]) -> None:
    """Write items.parquet, then meta.json (whose presence says that the task is complete), both mode 0600."""
    make_private(folder)
    (folder / "meta.json").unlink(missing_ok=True)
    write_table(folder / "items.parquet", rows)
    _write_meta(folder, meta)


def extend_rows(folder: Path, rows: Sequence[ItemRow], meta: Mapping[str, Any]) -> None:
    """Put rows with further scores in the place of a finished task's; killed in between, the task stays finished."""
    write_table(folder / "items.parquet", rows)
    _write_meta(folder, meta)


def _write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    text = json.dumps(dict(meta), indent=2, sort_keys=True)
    replace_private(folder / "meta.json", lambda path: path.write_text(text, encoding="utf-8"))


def write_table(path: Path, rows: Sequence[ItemRow]) -> None:
    """Write rows as one Parquet file, whole or not at all, mode 0600."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metrics = sorted({metric for row in rows for metric in row.scores})
    columns: dict[str, Any] = {
        name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in (*TEXT_COLUMNS, *LATER_COLUMNS)
    }
    columns["tokens"] = pa.array([row.tokens for row in rows], pa.int64())
    columns["seconds"] = pa.array([row.seconds for row in rows], pa.float64())
    for metric in metrics:
        values = [float(row.scores.get(metric, float("nan"))) for row in rows]
        columns[f"score.{metric}"] = pa.array(values, pa.float64())
    replace_private(path, lambda staging: pq.write_table(pa.table(columns), staging))


def read_rows(folder: Path) -> list[ItemRow]:
    """Read the rows of one task folder, in the order written. Raises BadInputError where it is not complete."""
    if not (folder / "meta.json").is_file():
        must = "A result folder must hold items.parquet and meta.json."
        do = "Give the same `suture eval` again, which goes on where it stopped, or remove the folder."
        raise BadInputError(Problem(must, "an incomplete folder", str(folder), do))
    return read_table(folder / "items.parquet")


def read_table(path: Path) -> list[ItemRow]:
    """Read the rows of one Parquet file, in the order written."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    metrics = [name.removeprefix("score.") for name in table.column_names if name.startswith("score.")]
    return [
        ItemRow(
            **{name: raw[name] for name in (*TEXT_COLUMNS, "tokens", "seconds")},
            **{name: raw[name] for name in LATER_COLUMNS if name in raw},
            scores={metric: raw[f"score.{metric}"] for metric in metrics},
        )
        for raw in table.to_pylist()
    ]


def read_meta(folder: Path) -> dict[str, Any]:
    """Read meta.json of a task folder; an empty mapping where there is none."""
    path = folder / "meta.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def make_private(folder: Path) -> None:
    """Make `folder` and whatever is missing above it, each of mode 0700; what is there already stays as it is."""
    for place in (*reversed(folder.parents), folder):
        if not place.is_dir():
            place.mkdir(exist_ok=True, mode=0o700)


def replace_private(path: Path, write: Any) -> None:
    """Write the file at `path`, mode 0600, through a file beside it that takes its place when it is safely on disk."""
    staging = path.with_name(path.name + ".partial")
    staging.unlink(missing_ok=True)
    os.close(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    write(staging)
    with staging.open("rb") as stream:
        os.fsync(stream.fileno())
    staging.replace(path)
