"""Runs tasks on a model and keeps every item: results/<weights digest, 12>/<task>/items.parquet and meta.json.

A task is run again unless meta.json holds the very same key: the weights, the tokenizer and its chat template, the
items, the task's protocol, decoding, batch size, limit, and the versions of what computes and scores. So a score never
belongs to other weights. What is answered is kept batch by batch (`suture.evaluate.parts`): a killed run goes on.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import suture
from suture.checkpoint.digest import tokenizer_digest
from suture.checkpoint.load import load_model, load_tokenizer
from suture.evaluate import drift, harness, ifeval, repaired, textscores, verifiable
from suture.evaluate.backend import Answerer
from suture.evaluate.engine import Engine, apply_chat
from suture.evaluate.further import Further, add_scores, is_written
from suture.evaluate.harness_tasks import protocol_digest
from suture.evaluate.items import ItemRow, read_meta, write_rows
from suture.evaluate.jobs import PROMPT_SIDE_EFFECTS, Job, make_job
from suture.evaluate.packaged import stay_offline
from suture.evaluate.parts import Parts, alone
from suture.evaluate.workload import Workload, text_digest
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
    dtype: str = "float32",
    answerer: Answerer | None = None,
    about: Mapping[str, Any] | None = None,
    reuse: bool = True,
    further: Further | None = None,
) -> dict[str, Path]:
    """Evaluate the model folder `model` on all of `work` and return task name -> folder of its rows.

    digest is the model's weights digest; limit takes the first items of every task only. The model is loaded once, and
    not at all where everything is there already. An answerer elsewhere (a server) is given with what identifies it,
    `about`, which becomes part of the key; with `reuse` off nothing kept is read. further is scored on written answers
    beside the tasks' own metrics, on finished ones too. Needs the extra `suture[eval]`.
    """
    stay_offline()
    tokenizer = tokenizer_digest(model)
    engine = dict(about) if about is not None else _engine(device, dtype)
    folders = {load.task.name: results / digest[:12] / load.task.name for load in work}
    keys = {load.task.name: _key(load, digest, tokenizer, batch_size, limit, engine) for load in work}
    missing = [
        load for load in work if not reuse or read_meta(folders[load.task.name]).get("key") != keys[load.task.name]
    ]
    if missing:
        with alone(results / digest[:12]):
            asked = ask_all(missing, limit, load_tokenizer(model))
            running = answerer or Engine(*load_model(model, device=device, dtype=dtype))
            for load in missing:
                name = load.task.name
                job = make_job(running, load, asked.get(name), digest, tokenizer, batch_size, limit)
                _keep(name, job, folders[name], keys[name], reuse)
    written = [load for load in work if is_written(load)] if further is not None else []
    if further is not None and written:
        with alone(results / digest[:12]):
            for load in written:
                add_scores(folders[load.task.name], load.take(limit), further)
    return folders


def ask_all(work: Sequence[Workload], limit: int | None, tokenizer: Any) -> dict[str, harness.Asked]:
    """Build every prompt of the harness's tasks, so that what fails to render is known before a model is loaded."""
    return {
        load.task.name: harness.ask(load.task, load.take(limit), partial(apply_chat, tokenizer, examples=load.examples))
        for load in work
        if load.task.kind == "harness"
    }


def _keep(name: str, job: Job, folder: Path, key: Mapping[str, Any], reuse: bool) -> None:
    """Answer the batches that are not kept yet, and write the finished task."""
    parts = Parts(folder, key)
    rows: list[ItemRow] = []
    resumed, began = 0, time.perf_counter()
    with track(name, job.size, "item") as advance:
        for number, batch in enumerate(job.batches):
            kept = parts.read(number) if reuse else None
            if kept is None:
                kept = job.answer(batch, advance)
                parts.write(number, kept)
            else:
                resumed += len(kept)
                advance(job.sizes[number])
            rows += kept
    finished = job.finish(rows)
    meta: dict[str, Any] = {
        "key": dict(key),
        "items": len(finished),
        "resumed": resumed,
        "seconds": time.perf_counter() - began,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    if changed := repaired.difference(finished):
        meta["published and repaired"] = repaired.as_meta(changed)
    write_rows(folder, finished, meta)
    parts.remove()


def signatures(load: Workload) -> dict[str, str]:
    """Return metric -> library, version and settings that compute it."""
    if load.task.kind == "generation":
        return textscores.signatures(load.task.metrics)
    if load.task.kind == "harness":
        return harness.signatures(load.task)
    if load.task.kind == "ifeval":
        metrics = load.task.metrics
        ours = load.task.name == "ifbench"
        judged = dict.fromkeys(metrics, verifiable.signature()) if ours else ifeval.signatures(metrics)
        return {**judged, **textscores.signatures(PROMPT_SIDE_EFFECTS)}
    return dict.fromkeys(load.task.metrics, f"suture {suture.__version__}, {load.task.kind}")


def _key(
    load: Workload, digest: str, tokenizer: str, batch_size: int, limit: int | None, engine: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that a score depends on."""
    key = {
        "weights": digest,
        "tokenizer": tokenizer,
        "task": {**asdict(load.task), "metrics": list(load.task.metrics)},
        "items": load.digest(),
        "limit": limit,
        "parents": {label: drift.read_key(folder) for label, folder in load.parents.items()},
        "decoding": {"strategy": "greedy", "max_new_tokens": load.task.max_new_tokens, "batch_size": batch_size},
        "engine": dict(engine),
        "signatures": signatures(load),
    }
    if load.task.kind == "harness":
        key["task file"] = protocol_digest(load.task)
    if load.examples:
        key["examples"] = text_digest(*(text for pair in load.examples for text in pair))
    return key


def _engine(device: str, dtype: str) -> dict[str, Any]:
    about = {
        "name": "suture.evaluate.engine",
        "suture": suture.__version__,
        "torch": version("torch"),
        "transformers": version("transformers"),
        "dtype": dtype,
        "device": device,
    }
    if device == "cpu" and dtype != "float32":
        about["answers"] = "unpadded"  # of near ties, which are common there, a batch with padding may take the other
    return about
