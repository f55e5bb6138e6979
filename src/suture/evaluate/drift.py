"""Drift: mean KL a token of a model to each parent, on the answers that this parent gives. A distance, never a verdict.

A parent's answers and its full distributions over them (fp32, tokens x vocabulary) are kept once in a private folder,
so that a model is compared by one forward pass, exactly, without the parent in memory.

    FOLDER/answers.npz   prompt and answer token ids, lengths, log_probs
    FOLDER/meta.json     the key: who answered what
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suture.checkpoint.digest import tokenizer_digest
from suture.checkpoint.load import load_model
from suture.data.records import Record, digest_items
from suture.errors import IncompatibleError, Problem, UsageError
from suture.evaluate.engine import Advance, Engine
from suture.evaluate.items import ItemRow, make_private
from suture.evaluate.packing import Request
from suture.evaluate.workload import text_digest
from suture.events import track
from suture.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np


def keep_answers(parent: Path, task: Task, records: Sequence[Record], folder: Path, *, digest: str) -> Path:
    """Keep the parent's greedy answers to `records` and its distributions over them in `folder`, which is returned.

    Nothing is done where they are there already. digest is the parent's weights digest. A record's input is the whole
    user turn.
    """
    import numpy as np

    key = {
        "weights": digest,
        "tokenizer": tokenizer_digest(parent),
        "items": digest_items(records),
        "max_new_tokens": task.max_new_tokens,
    }
    if read_key(folder) == key:
        return folder
    engine = Engine(*load_model(parent))
    prompts = [engine.encode(engine.chat(task.user_text(record.input))) for record in records]
    with track("drift: a parent's answers", len(records), "answer") as advance:
        answers = engine.answer_ids(prompts, task.max_new_tokens)
        found = engine.read(
            [Request(p, [a]) for p, a in zip(prompts, answers, strict=True)], lambda p, _: p, advance=advance
        )
    make_private(folder)
    (folder / "meta.json").unlink(missing_ok=True)
    _write_private(
        folder / "answers.npz",
        lambda stream: np.savez(
            stream,
            prompts=np.concatenate(prompts),
            prompt_lengths=[len(ids) for ids in prompts],
            answers=np.concatenate(answers),
            answer_lengths=[len(ids) for ids in answers],
            log_probs=np.concatenate([log_probs.cpu().numpy() for (log_probs,) in found]),
        ),
    )
    _write_private(folder / "meta.json", lambda stream: stream.write(json.dumps(key, indent=1).encode()))
    return folder


def read_key(folder: Path) -> dict[str, Any]:
    """Return what the kept answers in `folder` depend on; empty where they are not complete."""
    path = folder / "meta.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def measure(
    engine: Engine,
    task: Task,
    records: Sequence[Record],
    parents: Mapping[str, Path],
    digest: str,
    tokenizer: str,
    advance: Advance,
) -> list[ItemRow]:
    """Return one row a record with `kl_to_<label>` for each parent, in nats a token; `tokenizer` is the model's digest.

    Raises UsageError where kept answers belong to other records, IncompatibleError where tokenizers differ.
    """
    scores: list[dict[str, float]] = [{} for _ in records]
    for label, folder in parents.items():
        key = read_key(folder)
        if key.get("items") != digest_items(records):
            raise UsageError(
                Problem("A parent's kept answers must be to the same records.", "others or none", str(folder))
            )
        if key["tokenizer"] != tokenizer:
            raise IncompatibleError(
                Problem("KL needs one tokenizer.", "another tokenizer than the parent's", str(folder))
            )
        for row, value in zip(scores, _divergences(engine, folder), strict=True):
            row[f"kl_to_{label}"] = value
        advance(len(records))
    return [
        ItemRow(digest, task.name, record.id, record.encounter, text_digest(task.user_text(record.input)), scores=row)
        for record, row in zip(records, scores, strict=True)
    ]


def _divergences(engine: Engine, folder: Path) -> list[float]:
    """KL(parent || model), mean over the tokens of each kept answer, summed in fp64."""
    import numpy as np
    import torch

    with np.load(folder / "answers.npz") as kept:
        prompts = _split(kept["prompts"], kept["prompt_lengths"])
        answers = _split(kept["answers"], kept["answer_lengths"])
        parent = np.split(kept["log_probs"], np.cumsum(kept["answer_lengths"])[:-1])
    requests = [Request(prompt, [answer]) for prompt, answer in zip(prompts, answers, strict=True)]
    values = []
    for log_p, (log_q,) in zip(parent, engine.read(requests, lambda log_probs, _: log_probs.cpu()), strict=True):
        p = torch.from_numpy(log_p)
        values.append(float((p.exp() * (p - log_q)).sum(dim=-1, dtype=torch.float64).mean()))
    return values


def _split(ids: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any]) -> list[list[int]]:
    import numpy as np

    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]


def _write_private(path: Path, write: Any) -> None:
    staging = path.with_name(path.name + ".partial")
    staging.unlink(missing_ok=True)
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        write(stream)
    staging.replace(path)
