"""Steps that make models: the ancestor, parents, merges, few-shot adaptations; and the record of their rounding.

A step's folder holds `model/`, a checkpoint, and `model.json` with its digests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from suture.data.records import Record, read_items
from suture.study.graph import Context
from suture.study.sections import Merge, Training
from suture.study.tasks import kept_task
from suture.tasks.registry import get_task
from suture.tasks.suites import user_turn


def ancestor(context: Context) -> str:
    """De-quantise the ancestor's packaged file once, after its SHA-256 was checked."""
    from suture.checkpoint.gguf import check_sha256, convert_gguf, find_packaged

    p = context.parameters
    source = find_packaged(p["package"], p["file"])
    check_sha256(source, p["sha256"])
    convert_gguf(source, context.folder / "model")
    return made(context)


def reference(context: Context) -> str:
    """Take a model of one's own where it lies, by a link."""
    from suture.checkpoint.resolve import resolve_model

    (context.folder / "model").symlink_to(resolve_model(context.parameters["model"]).resolve())
    return made(context)


def train(context: Context) -> str:
    """Train a parent from its start on its lesson: plain notes or texts, instructions, or sections of notes."""
    from suture.adapt.train import continue_pretraining, supervised

    learn, settings = context.parameters["learn"], Training(**context.parameters["settings"]).settings()
    records = read_items(context.inputs["lesson"] / f"{learn}.train.jsonl", Record)
    start, out = context.inputs["start"] / "model", context.folder / "model"
    if learn in ("notes", "texts"):
        continue_pretraining(start, [record.target for record in records], out, settings)
    else:
        instruction = "{input}" if learn == "instructions" else get_task(learn).instruction
        supervised(start, records, out, settings, instruction=instruction)
    return made(context)


def adapt(context: Context) -> str:
    """Adapt a model to a task with a few of its training records."""
    from suture.adapt.shots import draw_shots
    from suture.adapt.train import supervised

    p = context.parameters
    task = kept_task(p["task"], context.inputs["lesson"])
    records = read_items(context.inputs["lesson"] / f"{task.name}.train.jsonl", Record)
    replay = read_items(context.inputs["replay"] / "instructions.train.jsonl", Record) if "replay" in p else []
    shots = draw_shots(records, p["shots"], p["seed"])
    settings = Training(**p["settings"]).settings()
    start, out = context.inputs["start"] / "model", context.folder / "model"
    supervised(start, shots, out, settings, instruction=user_turn(task), replay=replay[: p.get("replay")])
    return made(context)


def merge(context: Context) -> str:
    """Merge by a recipe that is kept beside the model."""
    run_recipe(context, {"dtype": "float32"})
    return made(context)


def rounding(context: Context) -> str:
    """Merge into a narrower dtype for the record: the manifest stays, the weights do not."""
    manifest = run_recipe(context, dict(context.parameters["written"]))
    shutil.rmtree(context.folder / "model")
    (context.folder / "manifest.json").write_bytes(manifest.to_json())
    return str(manifest.weights_digest)


def run_recipe(context: Context, written: Mapping[str, Any]) -> Any:
    """Write recipe.yaml, plan and execute it; return the manifest."""
    from suture.merge import execute
    from suture.plan import make_plan
    from suture.recipe import load_recipe

    models = {role: str(path / "model") for role, path in context.inputs.items()}
    path = context.folder / "recipe.yaml"
    path.write_text(Merge(**context.parameters["merge"]).recipe(models, **written).to_yaml(), encoding="utf-8")
    return execute(make_plan(load_recipe(path)), context.folder / "model", workers=1)


def made(context: Context) -> str:
    """Write model.json; return the digest of weights and tokenizer, on which all that follows is keyed."""
    from suture.checkpoint.digest import tokenizer_digest, weights_digest

    model = context.folder / "model"
    digests = {"weights_digest": weights_digest(model), "tokenizer_digest": tokenizer_digest(model)}
    (context.folder / "model.json").write_text(json.dumps(digests, indent=1), encoding="utf-8")
    return blake3("".join(digests.values()).encode()).hexdigest()


def weights_of(folder: Path) -> str:
    """Return the weights digest of the model that a step made."""
    return str(json.loads((folder / "model.json").read_text(encoding="utf-8"))["weights_digest"])


def signature(reference: str) -> dict[str, Any]:
    """Return what changes when a model of one's own does: names, sizes and times of its files."""
    from suture.checkpoint.resolve import resolve_model

    folder = resolve_model(reference)
    files = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in folder.iterdir() if path.is_file()}
    return {"model": str(reference), "files": files}
