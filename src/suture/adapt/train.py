"""Trains a checkpoint into a new one: continued pre-training on plain text, or answers learnt from records.

The output folder is a plain checkpoint like the one it starts from (same tensor names, dtype, tied embeddings,
configuration, tokenizer and chat template) plus training.json: settings, digest of the data, loss a step, seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.adapt.fit import fit
from suture.adapt.sequences import Example, converse, pack
from suture.adapt.settings import Settings
from suture.checkpoint.donor import donor_files
from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.load import load_model, quiet_transformers
from suture.checkpoint.save import save_model
from suture.checkpoint.writer import refuse_existing
from suture.data.records import Record, digest_items

__all__ = ["Settings", "continue_pretraining", "supervised"]

NARROW = {"BF16": "bfloat16", "F16": "float16"}


def continue_pretraining(model: Path, texts: Sequence[str], out: Path, settings: Settings) -> Path:
    """Train the checkpoint folder `model` on packed plain `texts`, no chat template, into the new folder `out`.

    Returns `out`, which appears whole or not at all. Raises OutputExistsError where it holds files, BadInputError where
    the texts do not fill one sequence, NumericError where training diverges. Weights are trained in
    fp32; where those of `model` are narrower, the result is rounded to nearest at the end.
    """
    digest = blake3("".join(json.dumps(text) + "\n" for text in texts).encode()).hexdigest()
    about = {"kind": "continued pre-training", "data_digest": digest, "data_items": len(texts)}
    return _train(model, out, settings, about, lambda tokenizer: pack(tokenizer, texts, settings.length))


def supervised(model: Path, records: Sequence[Record], out: Path, settings: Settings, *, instruction: str) -> Path:
    """Train the checkpoint folder `model` to answer `records` in its chat template, into the new folder `out`.

    instruction is the user's turn, with {input} where a record's input stands. Only the target and the stop token are
    learnt. Returns `out`, which appears whole or not at all. Raises as `continue_pretraining` and `converse` do.
    """
    about = {
        "kind": "supervised",
        "instruction": instruction,
        "data_digest": digest_items(records),
        "data_items": len(records),
    }
    return _train(
        model, out, settings, about, lambda tokenizer: converse(tokenizer, records, instruction, settings.length)
    )


def _train(
    start: Path, out: Path, settings: Settings, about: dict[str, Any], prepare: Callable[[Any], list[Example]]
) -> Path:
    refuse_existing(out)
    model, tokenizer = load_model(start)
    examples = prepare(tokenizer)
    began = time.monotonic()
    with quiet_transformers():
        model, losses = fit(model, examples, settings)
    about = about | {
        "settings": asdict(settings),
        "sequences": len(examples),
        "tokens": sum(len(example.tokens) for example in examples),
        "tokens_learnt": sum(len(example.tokens) - max(1, example.start) for example in examples),
        "loss": losses,
        "seconds": round(time.monotonic() - began, 3),
    }
    _save(model, tokenizer, start, about, out)
    return out


def _save(model: Any, tokenizer: Any, start: Path, about: dict[str, Any], out: Path) -> None:
    """Write weights in the dtype of `start`, its small files as they are there, and training.json; then rename."""
    import torch

    like = read_checkpoint(start)
    dtype, _ = Counter(info.dtype for info in like.tensors.values()).most_common(1)[0]
    staging = out.with_name(f".{out.name}.trained")
    shutil.rmtree(staging, ignore_errors=True)
    with quiet_transformers():
        save_model(model.to(getattr(torch, NARROW.get(dtype, "float32"))), tokenizer, staging)
    files = donor_files(start, like.config, None)
    files["training.json"] = (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()
    for name, content in files.items():
        with (staging / name).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    if out.exists():
        out.rmdir()
    staging.rename(out)
