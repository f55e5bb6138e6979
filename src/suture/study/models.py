"""Steps that make models: the ancestor, parents, merges, few-shot adaptations; and the record of their rounding.

A step's folder holds `model/`, a checkpoint, and `model.json` with its digests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from blake3 import blake3

from suture.data.records import Record, read_items
from suture.study.graph import Context
from suture.study.sections import Merge, Training
from suture.study.store import training_folder
from suture.study.tasks import kept_task
from suture.tasks.registry import get_task
from suture.tasks.suites import user_turn

BASE = "base of "  # before a role: what the adapter in that role is on


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
    alone = p.get("keep") == "adapter"
    work = training_folder(context.shared, context.folder) if settings.lora_rank else None
    supervised(
        start, shots, out, settings, instruction=user_turn(task), replay=replay[: p.get("replay")], work=work,
        as_adapter=alone, base_name=context.inputs["start"].name,
    )  # fmt: skip
    return made_adapter(context) if alone else made(context)


def merge(context: Context) -> str:
    """Merge by a recipe that is kept beside the model."""
    run_recipe(context, {"dtype": context.parameters.get("dtype", "float32")})
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

    models = {role: reference_of(context, role) for role in context.inputs if not role.startswith(BASE)}
    path = context.folder / "recipe.yaml"
    path.write_text(Merge(**context.parameters["merge"]).recipe(models, **written).to_yaml(), encoding="utf-8")
    return execute(make_plan(load_recipe(path)), context.folder / "model", workers=1)


def reference_of(context: Context, role: str) -> str:
    """Return the model that an input holds as a recipe names it: a folder, or a base and the adapter on it."""
    model = context.inputs[role] / "model"
    base = context.inputs.get(BASE + role)
    return str(model) if base is None else f"{base / 'model'}+{model}"


@contextmanager
def whole_model(context: Context, role: str) -> Iterator[tuple[Path, str]]:
    """Yield the folder of a model and its weights digest; one that is kept as an adapter is made for the while."""
    from suture.merge import execute
    from suture.plan import make_plan
    from suture.recipe import parse_recipe

    if BASE + role not in context.inputs:
        yield context.inputs[role] / "model", weights_of(context.inputs[role])
        return
    written = {"merge_method": "passthrough", "models": [{"model": reference_of(context, role)}], "rounding": "nearest"}
    with TemporaryDirectory(dir=context.folder) as temporary:
        folder = Path(temporary) / "model"
        manifest = execute(make_plan(parse_recipe(yaml.safe_dump(written), "adapter")), folder, workers=1)
        yield folder, str(manifest.weights_digest)


def made_adapter(context: Context) -> str:
    """Write model.json of a model that is kept as an adapter; return the digest of the adapter and what it is on."""
    files = sorted((context.folder / "model").glob("adapter_*"))
    digest = blake3(b"".join(blake3(path.read_bytes()).digest() for path in files))
    digest.update(context.digests["start"].encode())
    about = {"adapter_digest": digest.hexdigest()}
    (context.folder / "model.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    return digest.hexdigest()


def made(context: Context) -> str:
    """Write model.json; return the digest of weights and tokenizer, on which all that follows is keyed."""
    from suture.checkpoint.digest import tokenizer_digest, weights_digest

    model = context.folder / "model"
    digests = {"weights_digest": weights_digest(model), "tokenizer_digest": tokenizer_digest(model)}
    (context.folder / "model.json").write_text(json.dumps(digests, indent=1), encoding="utf-8")
    return blake3("".join(digests.values()).encode()).hexdigest()


def weights_of(folder: Path) -> str:
    """Return the weights digest of the model that a step made, "" of one that is kept as an adapter."""
    return str(json.loads((folder / "model.json").read_text(encoding="utf-8")).get("weights_digest", ""))
