"""Fault 15, end to end: heads that are stored, tied or both, and buffers that only one parent stores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from suture.checkpoint.load import load_model
from suture.errors import IncompatibleError
from suture.merge import execute
from suture.plan import Plan, make_plan
from suture.recipe import parse_recipe

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
INV_FREQ = "model.layers.0.self_attn.rotary_emb.inv_freq"


def copy(folder: Path, to: Path, tied: bool | None = None, **extra: torch.Tensor) -> Path:
    """Copy a model, with tensors more, and tie_word_embeddings set."""
    shutil.copytree(folder, to)
    file = to / "model.safetensors"
    save_file(load_file(file) | extra, file, metadata={"format": "pt"})
    if tied is not None:
        config = json.loads((to / "config.json").read_text())
        (to / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": tied}))
    return to


def plan(general: Path, clinical: Path) -> Plan:
    return make_plan(
        parse_recipe(
            f"merge_method: linear\ngeneral: {general}\nmodels:\n"
            f"  - {{model: {general}, parameters: {{weight: 0.75}}}}\n"
            f"  - {{model: {clinical}, parameters: {{weight: 0.25}}}}\n"
        )
    )


def tensors(folder: Path) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in load_file(folder / "model.safetensors").items()}


@pytest.mark.parametrize("stored_by", ["general", "clinical", "both"])
def test_a_stored_copy_of_a_tied_head_is_dropped_by_name(
    stored_by: str, tiny_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    pair = []
    for name, folder in zip(("general", "clinical"), tiny_pair, strict=True):
        head = {HEAD: load_file(folder / "model.safetensors")[EMBEDDING].clone()}
        pair.append(copy(folder, tmp_path / name, **(head if stored_by in (name, "both") else {})))
    found = plan(pair[0], pair[1])
    assert [line.name for line in found.dropped] == [HEAD]
    manifest = execute(found, tmp_path / "out")
    assert any(HEAD in note and "not written" in note for note in manifest.notes)
    assert HEAD not in tensors(tmp_path / "out")
    model, _ = load_model(tmp_path / "out")
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize("donor_ties", [True, False])
def test_a_tied_parent_and_one_with_a_trained_head(
    donor_ties: bool, tiny_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """The tied parent's head is its embedding; the output has a head of its own, and loads so."""
    own = torch.randn(load_file(tiny_pair[1] / "model.safetensors")[EMBEDDING].shape)
    tied = copy(tiny_pair[0], tmp_path / "tied")
    untied = copy(tiny_pair[1], tmp_path / "untied", tied=False, **{HEAD: own})
    pair = (tied, untied) if donor_ties else (untied, tied)
    weight = 0.75 if donor_ties else 0.25
    manifest = execute(plan(*pair), tmp_path / "out")
    out = tensors(tmp_path / "out")
    expected = weight * tensors(tied)[EMBEDDING].astype(np.float64) + (1 - weight) * own.numpy()
    padding = (tensors(tied)[EMBEDDING] == 0).all(axis=1)  # a row that the tied parent never trained
    expected[padding] = own.numpy()[padding]
    np.testing.assert_allclose(out[HEAD], expected, rtol=0, atol=1e-6)
    assert manifest.tensors[HEAD].action == "merged"
    model, _ = load_model(tmp_path / "out")
    np.testing.assert_array_equal(model.lm_head.weight.detach().numpy(), out[HEAD])
    np.testing.assert_array_equal(model.model.embed_tokens.weight.detach().numpy(), out[EMBEDDING])


def test_a_tied_head_of_other_values_is_refused(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    head = load_file(tiny_pair[1] / "model.safetensors")[EMBEDDING] + 1
    other = copy(tiny_pair[1], tmp_path / "other", **{HEAD: head})
    with pytest.raises(IncompatibleError, match=r"others in 'lm_head\.weight'\. Set tie_word_embeddings to false"):
        plan(tiny_pair[0], other)


def test_an_untied_model_without_head_is_refused(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    whole = copy(tiny_pair[0], tmp_path / "whole", tied=False, **{HEAD: torch.randn(4, 4)})
    headless = copy(tiny_pair[1], tmp_path / "headless", tied=False)
    with pytest.raises(IncompatibleError, match=r"1 missing: lm_head\.weight"):
        plan(whole, headless)


def test_buffers_of_one_parent_are_dropped_and_of_both_copied(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    frequencies = torch.tensor([1.0, 0.1, 0.01, 0.001])
    one, two = (copy(f, tmp_path / f"with-{f.name}", **{INV_FREQ: frequencies}) for f in tiny_pair)
    execute(plan(one, tiny_pair[1]), tmp_path / "dropped")
    assert INV_FREQ not in tensors(tmp_path / "dropped")
    manifest = execute(plan(one, two), tmp_path / "copied")
    assert manifest.tensors[INV_FREQ].action == "copied"
    np.testing.assert_array_equal(tensors(tmp_path / "copied")[INV_FREQ], frequencies.numpy())
    changed = copy(tiny_pair[1], tmp_path / "changed", **{INV_FREQ: frequencies * 2})
    with pytest.raises(IncompatibleError, match=INV_FREQ):
        execute(plan(one, changed), tmp_path / "refused")
