"""Runs tasks on a model and keeps every item: results/<weights digest, 12>/<task>/items.parquet and meta.json.

A task is run again unless meta.json holds the very same key: the weights, the tokenizer and its chat template, the
items, the task's protocol, decoding, batch size, limit, and the versions of what computes and scores. So a score never
belongs to other weights.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import suture
from suture.checkpoint.digest import tokenizer_digest
from suture.checkpoint.load import load_model
from suture.evaluate import drift, generation, ifeval, reading
from suture.evaluate.engine import Advance, Engine
from suture.evaluate.items import ItemRow, read_meta, write_rows
from suture.evaluate.metrics import facts
from suture.evaluate.packaged import stay_offline
from suture.evaluate.workload import Workload
from suture.events import track

__all__ = ["Workload", "evaluate_model"]


def evaluate_model(
    model: Path,
    work: Sequence[Workload],
    results: Path,
    *,
    digest: str,
    batch_size: int = 32,
    limit: int | None = None,
    device: str = "cpu",
) -> dict[str, Path]:
    """Evaluate the model folder `model` on all of `work` and return task name -> folder of its rows.

    digest is the model's weights digest; limit takes the first items of every task only. The model is loaded once, and
    not at all where everything is there already. Needs the extra `suture[eval]`.
    """
    stay_offline()
    tokenizer = tokenizer_digest(model)
    folders = {load.task.name: results / digest[:12] / load.task.name for load in work}
    keys = {load.task.name: _key(load, digest, tokenizer, batch_size, limit, device) for load in work}
    missing = [load for load in work if read_meta(folders[load.task.name]).get("key") != keys[load.task.name]]
    if missing:
        engine = Engine(*load_model(model, device=device))
        for load in missing:
            began = time.perf_counter()
            with track(load.task.name, _size(load, limit), "item") as advance:
                rows = _run(engine, load, digest, tokenizer, batch_size, limit, advance)
            about = {
                "key": keys[load.task.name],
                "items": len(rows),
                "seconds": time.perf_counter() - began,
                "machine": f"{platform.machine()}, Python {platform.python_version()}",
            }
            write_rows(folders[load.task.name], rows, about)
    return folders


def _run(
    engine: Engine, load: Workload, digest: str, tokenizer: str, batch_size: int, limit: int | None, advance: Advance
) -> list[ItemRow]:
    task, some = load.task, load.take(limit)
    if isinstance(load.items, Path):
        return ifeval.answer(engine, task, load.items, digest, limit, batch_size, advance)
    match task.kind:
        case "contrast":
            return reading.contrast(engine, task, some, digest, advance)
        case "choice":
            return reading.choose(engine, task, some, digest, advance)
        case "likelihood":
            return reading.likelihood(engine, task, some, digest, advance)
        case "drift":
            whole = load.take(None)  # the parents' kept answers are to all of them
            return drift.measure(engine, task, whole, load.parents, digest, tokenizer, advance)
    words = facts.vocabulary(record.facts for record in load.take(None))
    return generation.answer(engine, task, some, words, digest, batch_size, advance)


def _size(load: Workload, limit: int | None) -> int:
    if isinstance(load.items, Path):
        return ifeval.count(load.items, limit)
    if load.task.kind == "drift":
        return len(load.items) * len(load.parents)
    if load.task.kind == "contrast":
        return len({prompt for pair in load.take(limit) for prompt in (pair.prompt_a, pair.prompt_b)})
    return len(load.take(limit))


def signatures(load: Workload) -> dict[str, str]:
    """Return metric -> library, version and settings that compute it."""
    if load.task.kind == "generation":
        return generation.signatures(load.task)
    if load.task.kind == "ifeval":
        return dict.fromkeys(load.task.metrics, ifeval.signature())
    return dict.fromkeys(load.task.metrics, f"suture {suture.__version__}, {load.task.kind}")


def _key(
    load: Workload, digest: str, tokenizer: str, batch_size: int, limit: int | None, device: str
) -> dict[str, Any]:
    """Everything that a score depends on."""
    return {
        "weights": digest,
        "tokenizer": tokenizer,
        "task": {**asdict(load.task), "metrics": list(load.task.metrics)},
        "items": load.digest(),
        "limit": limit,
        "parents": {label: drift.read_key(folder) for label, folder in load.parents.items()},
        "decoding": {"strategy": "greedy", "max_new_tokens": load.task.max_new_tokens, "batch_size": batch_size},
        "engine": {
            "name": "suture.evaluate.engine",
            "suture": suture.__version__,
            "torch": version("torch"),
            "transformers": version("transformers"),
            "dtype": "float32",
            "device": device,
        },
        "signatures": signatures(load),
    }
