"""Trains a checkpoint: continued pre-training on plain text, or answers learnt from records.

The output folder is a plain checkpoint like the one it starts from (same tensor names, dtype, tied embeddings,
configuration, tokenizer and chat template), or a PEFT adapter; beside it training.json: settings, digests of base and
data, loss a step, seconds.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.adapt.adapter import save_adapter
from suture.adapt.fit import Fitted, fit, whole
from suture.adapt.processes import joined
from suture.adapt.resume import claim
from suture.adapt.sequences import Example, converse, pack
from suture.adapt.settings import Settings
from suture.adapt.shares import portions
from suture.checkpoint.digest import weights_digest
from suture.checkpoint.disk import sync_folder, sync_tree
from suture.checkpoint.donor import donor_files
from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.load import load_model, quiet_transformers
from suture.checkpoint.save import save_model
from suture.checkpoint.target import put_in_place, refuse_existing
from suture.data.records import Record, digest_items
from suture.errors import BadInputError, Problem, UsageError

__all__ = ["Settings", "continue_pretraining", "supervised"]

NARROW = {"BF16": "bfloat16", "F16": "float16"}
NOTE = "training.json"
Prepared = tuple[list[Example], list[Example]]


def continue_pretraining(
    model: Path, texts: Sequence[str], out: Path, settings: Settings, *, work: Path | None = None
) -> Path:
    """Train the checkpoint folder `model` on packed plain `texts`, no chat template, into the new folder `out`.

    work: as for `supervised`. Returns `out`, which appears whole or not at all. Raises OutputExistsError where it holds
    files, BadInputError where the texts do not fill one sequence, NumericError where training diverges. Weights are
    trained in fp32; where those of `model` are narrower, the result is rounded to nearest at the end.
    """
    digest = blake3("".join(json.dumps(text) + "\n" for text in texts).encode()).hexdigest()
    about = {"kind": "continued pre-training", "data_digest": digest, "data_items": len(texts)}
    return _train(model, out, settings, about, lambda tokenizer: (pack(tokenizer, texts, settings.length), []), work)


def supervised(
    model: Path,
    records: Sequence[Record],
    out: Path,
    settings: Settings,
    *,
    instruction: str,
    development: Sequence[Record] = (),
    replay: Sequence[Record] = (),
    work: Path | None = None,
    as_adapter: bool = False,
    base_name: str = "",
    notes: Mapping[str, Any] | None = None,
) -> Path:
    """Train the checkpoint folder `model` to answer `records` in its chat template, into the new folder `out`.

    instruction is the user's turn, with {input} where a record's input stands. Only the target and the stop token are
    learnt. development: records that early stopping looks at. replay: general examples mixed in, whose input is the
    whole turn. work: a folder for the state of the run, by which a killed run goes on; removed at the end. as_adapter:
    write a PEFT adapter, that names its base base_name, instead of a whole checkpoint. notes: more for training.json.

    Returns `out`, which appears whole or not at all. Raises as `continue_pretraining` and `converse` do, and UsageError
    for an adapter without lora_rank or a `work` of another training.
    """
    if as_adapter and settings.lora_rank is None:
        raise UsageError(Problem("An adapter needs a rank.", "lora_rank null", do="Give a rank, or write it whole."))
    about = {
        "kind": "supervised",
        "instruction": instruction,
        "data_digest": digest_items(records),
        "data_items": len(records),
        **(_counted("development", development) | _counted("replay", replay)),
        **(notes or {}),
    }

    def prepare(tokenizer: Any) -> Prepared:
        learnt = converse(tokenizer, records, instruction, settings.length)
        learnt += converse(tokenizer, replay, "{input}", settings.length) if replay else []
        return learnt, converse(tokenizer, development, instruction, settings.length) if development else []

    return _train(model, out, settings, about, prepare, work, as_adapter=as_adapter, base_name=base_name)


def _counted(name: str, records: Sequence[Record]) -> dict[str, Any]:
    return {f"{name}_digest": digest_items(records), f"{name}_items": len(records)} if records else {}


def _train(
    start: Path,
    out: Path,
    settings: Settings,
    about: dict[str, Any],
    prepare: Callable[[Any], Prepared],
    work: Path | None,
    *,
    as_adapter: bool = False,
    base_name: str = "",
) -> Path:
    processes = joined()

    def begin() -> str:
        refuse_existing(out)
        base = weights_digest(start) if as_adapter or work is not None else ""
        if work is not None:
            claim(work, {"base": base, "settings": asdict(settings), **about})
        return base

    def load() -> tuple[Any, Any, Prepared]:
        portions(settings, processes.count)
        model, tokenizer = load_model(start)
        return model, tokenizer, prepare(tokenizer)

    base = processes.lead(begin)
    if len(set(processes.gather(about["data_digest"]))) > 1:
        must = "Every process must learn from the same data."
        raise processes.agreed(BadInputError(Problem(must, "another digest on another machine")))
    model, tokenizer, (examples, development) = processes.together(load)
    began = time.monotonic()
    with quiet_transformers():
        fitted = fit(model, examples, settings, development=development, work=work, processes=processes)
    said = about | _said(fitted, examples, settings, time.monotonic() - began) | {"processes": processes.count}

    def write() -> None:
        if as_adapter:
            note = _note(said | {"base_weights_digest": base})
            save_adapter(fitted.model, base_name or start.name, {NOTE: note}, out)
        else:
            _save(whole(fitted), tokenizer, start, _note(said), out)
        if work is not None:
            shutil.rmtree(work)

    processes.lead(write)
    return out


def _said(fitted: Fitted, examples: Sequence[Example], settings: Settings, seconds: float) -> dict[str, Any]:
    seen = {"development_loss": fitted.development, "best_step": fitted.best} if fitted.development else {}
    return {
        "settings": asdict(settings),
        "sequences": len(examples),
        "tokens": sum(len(example.tokens) for example in examples),
        "tokens_learnt": sum(len(example.tokens) - max(1, example.start) for example in examples),
        "loss": fitted.losses,
        **seen,
        "seconds": round(seconds, 3),
    }


def _note(about: Mapping[str, Any]) -> bytes:
    return (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()


def _save(model: Any, tokenizer: Any, start: Path, note: bytes, out: Path) -> None:
    """Write weights in the dtype of `start`, its small files as they are there, and training.json; then rename."""
    import torch

    like = read_checkpoint(start)
    dtype, _ = Counter(info.dtype for info in like.tensors.values()).most_common(1)[0]
    staging = out.with_name(f".{out.name}.trained")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with quiet_transformers():
            save_model(model.to(getattr(torch, NARROW.get(dtype, "float32"))), tokenizer, staging)
        for name, content in (donor_files(start, like.config, None) | {NOTE: note}).items():
            (staging / name).write_bytes(content)
        sync_tree(staging)
        put_in_place(staging, out, overwrite=False)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
