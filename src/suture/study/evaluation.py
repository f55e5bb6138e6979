"""Evaluates one model on tasks by name, with built-in items or those of a file: what `suture eval` and Python call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suture.checkpoint.digest import weights_digest
from suture.checkpoint.resolve import resolve_model
from suture.study.texts import own_workload


def evaluate_tasks(
    model: str | Path,
    tasks: Sequence[str],
    results: Path = Path("results"),
    *,
    limit: int | None = None,
    data: str | None = None,
    batch_size: int = 32,
) -> Path:
    """Evaluate `model` (a folder, or a hub id in the local cache) and return its folder results/<weights digest, 12>.

    tasks are names, or name=FILE with items of one's own; data is the folder Main-Dataset of MTS-Dialog, where a task
    needs it. A task whose results are there under the same key is not run again. Raises what `evaluate_model` raises.
    """
    from suture.evaluate.run import evaluate_model

    work = [own_workload(name, file, data=data) for name, _, file in (task.partition("=") for task in tasks)]
    folder = resolve_model(str(model))
    digest = weights_digest(folder)
    evaluate_model(folder, work, results, digest=digest, batch_size=batch_size, limit=limit)
    return results / digest[:12]
