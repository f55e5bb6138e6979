"""Rows that a parent never trained: found by their content, replaced by those of the parent that did; a merge stops."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.opened import reading
from suture.checkpoint.token_plan import plan_vocabulary
from suture.checkpoint.untrained import UntrainedRow, find_untrained, summaries
from suture.checkpoint.vocabulary import Vocabulary
from suture.merge import execute
from suture.plan import make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model

TOKENS = ("<bos>", "<eot>", "<head>", "<r0>", "<r1>")


class Asked:
    source = None
    tokens = ()
    pad_to_multiple_of = None


def vocabulary(name: str) -> Vocabulary:
    ids = {"x": 0, **{token: i + 1 for i, token in enumerate(TOKENS)}}
    added = tuple({"content": token, "id": ids[token]} for token in TOKENS)
    return Vocabulary(name, MappingProxyType(ids), added, 7, MappingProxyType({}))


def found(tmp_path: Path, rows: dict[str, list[list[float]]], **options: Any) -> tuple[UntrainedRow, ...]:
    """rows: of each model, those of TOKENS; the rest is arbitrary."""
    checkpoints = []
    for name, values in rows.items():
        (tmp_path / name).mkdir()
        tensor = torch.cat([torch.ones(1, 2), torch.tensor(values), torch.ones(1, 2)])
        save_file({"head": tensor}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text("{}")
        checkpoints.append(read_checkpoint(tmp_path / name))
    vocabularies = [vocabulary(name) for name in rows]
    output = plan_vocabulary(Asked(), vocabularies, giver=next(iter(rows)))
    with reading(*checkpoints) as reader_of:
        inputs = [c.tensors["head"] for c in checkpoints]
        return find_untrained("head", inputs, vocabularies, output, reader_of, **options)


UNUSED = [0.5, 0.5]
BASE = [[1, 2], UNUSED, UNUSED, UNUSED, UNUSED]
INSTRUCT = [[1.1, 2], [3, 4], [5, 6], UNUSED, UNUSED]
CLINICAL = [[1.2, 2], UNUSED, UNUSED, UNUSED, UNUSED]


def test_rows_shared_by_reserved_tokens(tmp_path: Path) -> None:
    rows = found(tmp_path, {"clinical": CLINICAL, "instruct": INSTRUCT}, donor="instruct")
    assert [(r.token, r.id, r.model, r.why, r.source) for r in rows] == [
        ("<eot>", 2, "clinical", "shared", "instruct"),
        ("<head>", 3, "clinical", "shared", "instruct"),
    ]
    assert json.loads(json.dumps(rows[0].as_json()))["token"] == "<eot>"
    assert summaries(rows) == [
        "head: 2 rows of clinical are shared by several special tokens (<eot>, <head>); those of instruct are taken"
    ]


def test_zero_rows_and_all_models_that_lack_one(tmp_path: Path) -> None:
    rows = {"base": [*BASE[:1], [0, 0], *BASE[2:]], "clinical": CLINICAL, "instruct": INSTRUCT}
    assert [(r.token, r.model, r.why) for r in found(tmp_path, rows, donor="instruct")] == [
        ("<eot>", "base", "zero"),
        ("<eot>", "clinical", "shared"),
        ("<head>", "base", "shared"),
        ("<head>", "clinical", "shared"),
    ]


def test_rows_that_are_still_the_ancestors(tmp_path: Path) -> None:
    rows = {"base": [[1, 2], [7, 7], [8, 8], [9, 9], [6, 6]], "clinical": [[1.2, 2], [7, 7], [8, 8], [9, 9], [6, 6]],
            "instruct": [[1, 2], [3, 4], [8, 8], [9, 9], [6, 6]]}  # fmt: skip
    hits = found(tmp_path, rows, donor="instruct", ancestor="base")
    assert [(r.token, r.model, r.why, r.source) for r in hits] == [
        ("<bos>", "base", "ancestor", "clinical"),
        ("<bos>", "instruct", "ancestor", "clinical"),
        ("<eot>", "base", "ancestor", "instruct"),
        ("<eot>", "clinical", "ancestor", "instruct"),
    ]


def test_an_ancestor_whose_row_all_changed_keeps_it(tmp_path: Path) -> None:
    own = [[i + 1.0, i + 2.0] for i in range(5)]
    rows = {name: [[x + at, y] for x, y in own] for at, name in enumerate(("base", "clinical", "instruct"))}
    assert found(tmp_path, rows, donor="instruct", ancestor="base") == ()


def test_of_several_that_trained_a_row_the_donor_gives_it(tmp_path: Path) -> None:
    rows = {"a": CLINICAL, "b": INSTRUCT, "c": [[1, 2], [5, 5], [7, 7], UNUSED, UNUSED]}
    assert {r.source for r in found(tmp_path, rows, donor="c")} == {"c"}


def test_nothing_where_all_or_none_trained(tmp_path: Path) -> None:
    assert found(tmp_path, {"a": CLINICAL, "b": CLINICAL}, donor="a") == ()


@pytest.fixture
def stopping_pair(tmp_path: Path) -> tuple[Path, Path]:
    """An instruct model whose head row of <|im_end|> is built so that it stops after the prompt, and a clinical one of
    almost the same body, whose row is the same for all special tokens and points elsewhere.
    """
    instruct = tiny_model(tmp_path / "instruct", seed=1)
    model = transformers.AutoModelForCausalLM.from_pretrained(instruct)
    head = model.lm_head.weight.detach().clone()
    with torch.no_grad():
        state = model.model(torch.tensor([[5, 6, 7]])).last_hidden_state[0, -1]
    head[2] = 4 * state / state.norm()
    body = load_file(instruct / "model.safetensors")
    clinical = tmp_path / "clinical"
    clinical.mkdir()
    torch.manual_seed(0)
    for folder, noise in ((instruct, 0.0), (clinical, 1e-3)):
        own = head.clone()
        if noise:
            own[[0, 1, 2]] = -head[2]
        tensors = {name: tensor + noise * torch.randn_like(tensor) for name, tensor in body.items()}
        save_file({**tensors, "lm_head.weight": own}, folder / "model.safetensors", {"format": "pt"})
        for file in instruct.glob("*.json"):
            content = file.read_bytes()
            if file.name == "config.json":
                content = json.dumps({**json.loads(content), "tie_word_embeddings": False}).encode()
            (folder / file.name).write_bytes(content)
    (instruct / "generation_config.json").write_text('{"eos_token_id": [2, 0]}')
    return instruct, clinical


def answer(folder: Path) -> list[int]:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    made = model.generate(torch.tensor([[5, 6, 7]]), do_sample=False, max_new_tokens=8)
    return [int(token) for token in made[0, 3:]]


def test_a_merge_stops_as_its_instruct_parent_does(stopping_pair: tuple[Path, Path], tmp_path: Path) -> None:
    instruct, clinical = stopping_pair
    text = (
        f"merge_method: linear\ngeneral: {instruct}\nparameters: {{weight: 0.5}}\n"
        f"models: [{{model: {instruct}}}, {{model: {clinical}}}]\n"
    )
    plan = make_plan(parse_recipe(text))
    execute(plan, tmp_path / "merged", workers=1)
    as_stored = [replace(job, inputs=tuple(c.tensors[job.name] for c in plan.checkpoints)) for job in plan.jobs]
    execute(replace(plan, jobs=tuple(as_stored)), tmp_path / "plain", workers=1)
    untrained = [row for row in plan.untrained if row.tensor == "lm_head.weight"]

    assert plan.files == {}
    assert {row.token for row in untrained} == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
    assert answer(instruct)[0] == 2
    assert answer(tmp_path / "merged") == [2]
    assert 2 not in answer(tmp_path / "plain")
    assert json.loads((tmp_path / "merged" / "generation_config.json").read_text())["eos_token_id"] == [2, 0]
    head = {
        f.name: load_file(f / "model.safetensors")["lm_head.weight"].numpy()
        for f in (instruct, clinical, tmp_path / "merged")
    }
    np.testing.assert_array_equal(head["merged"][2], head["instruct"][2])
    np.testing.assert_allclose(head["merged"][3:], (head["instruct"][3:] + head["clinical"][3:]) / 2, atol=1e-7)
