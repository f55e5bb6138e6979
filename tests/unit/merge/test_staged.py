"""A stage inside another merge gives the bytes that a stage on disk gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from suture.merge import execute
from suture.plan import make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model

FIRST = """
name: domain
merge_method: {method}
base_model: {a}
seed: 5
models: [{{model: {b}, parameters: {{weight: 0.7}}}}, {{model: {c}, parameters: {{weight: 0.4}}}}]
general: {a}
dtype: {dtype}
"""
SECOND = """
merge_method: slerp
base_model: {a}
general: {a}
models: [{{model: {stage}}}]
parameters: {{t: 0.25}}
dtype: float32
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "della"])
def test_fused_stages_equal_stages_on_disk(method: str, dtype: str, tmp_path: Path) -> None:
    names = {
        name: tiny_model(tmp_path / name, seed=seed, hidden=64, chat_template=name == "a")
        for seed, name in enumerate("abc")
    }
    first = FIRST.format(method=method, dtype=dtype, **names)
    both = f"{first}\n---{SECOND.format(stage='domain', **names)}"
    fused = execute(make_plan(parse_recipe(both)), tmp_path / "fused")
    execute(make_plan(parse_recipe(first.replace("name: domain\n", ""))), tmp_path / "stage")
    execute(make_plan(parse_recipe(SECOND.format(stage=tmp_path / "stage", **names))), tmp_path / "disk")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("fused", "disk"))
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert [given.model for given in fused.inputs] == [str(names[name]) for name in "abc"]
    assert json.loads((tmp_path / "fused" / "manifest.json").read_text())["arc_tensors"] is not None
