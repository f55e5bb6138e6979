"""Adapters extracted from two models: read back by Suture and by PEFT, energy as numpy's SVD has it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from suture.checkpoint.adapter import apply_adapter, read_adapter
from suture.checkpoint.header import read_checkpoint
from suture.checkpoint.opened import read_whole, reading
from suture.errors import IncompatibleError, NumericError, OutputExistsError, UsageError
from suture.extract import Extent, Extraction, extract_adapter

FULL = Extent(rank=10_000)


def pair(folder: Path, kind: str = "llama", noise: float = 0.02) -> tuple[Path, Path]:
    """A random model, and one that differs from it in every tensor."""
    torch.manual_seed(0)
    if kind == "gpt2":
        sizes = {"vocab_size": 40, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 8}
        base = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=1))
    else:
        sizes = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": True}
        base = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads))
    base.save_pretrained(folder / "base")
    with torch.no_grad():
        for parameter in base.parameters():
            parameter += noise * torch.randn_like(parameter)
    base.save_pretrained(folder / "model")
    return folder / "model", folder / "base"


def laid_on(base: Path, adapter: Path) -> dict[str, np.ndarray]:
    checkpoints = read_checkpoint(base), read_adapter(adapter)
    with reading(*checkpoints) as reader_of:
        return {n: read_whole(g, reader_of) for n, g in apply_adapter(checkpoints[0].tensors, checkpoints[1]).items()}


def stored(folder: Path) -> dict[str, np.ndarray]:
    return {name: tensor.float().numpy() for name, tensor in load_file(folder / "model.safetensors").items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_base_and_adapter_of_full_rank_are_the_model(kind: str, tmp_path: Path) -> None:
    model, base = pair(tmp_path, kind)
    found = extract_adapter(model, base, tmp_path / "out", FULL)
    assert found.energy == pytest.approx(1, abs=1e-6)
    assert found.not_captured == ()
    expected, values = stored(model), laid_on(base, tmp_path / "out")
    for name, tensor in expected.items():
        np.testing.assert_allclose(values[name], tensor, rtol=0, atol=3e-7, err_msg=name)
    name = transformers.AutoModelForCausalLM.from_pretrained(base)
    merged = peft.PeftModel.from_pretrained(name, tmp_path / "out").merge_and_unload().state_dict()
    for name, tensor in expected.items():
        np.testing.assert_allclose(merged[name].numpy(), tensor, rtol=0, atol=5e-7, err_msg=name)


def test_bfloat16_models_come_back_bit_for_bit(tmp_path: Path) -> None:
    model, base = pair(tmp_path)
    for folder in (model, base):
        tensors = {n: t.bfloat16() for n, t in load_file(folder / "model.safetensors").items()}
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    extract_adapter(model, base, tmp_path / "out", FULL)
    values = laid_on(base, tmp_path / "out")
    for name, tensor in load_file(model / "model.safetensors").items():
        assert torch.equal(torch.from_numpy(values[name]).bfloat16(), tensor), name


def test_the_energy_that_is_reported_is_the_one_that_is_kept(tmp_path: Path) -> None:
    model, base = pair(tmp_path)
    found = extract_adapter(model, base, tmp_path / "out", Extent(rank=3))
    expected, start, values = stored(model), stored(base), laid_on(base, tmp_path / "out")
    lost = total = 0.0
    for matrix in found.matrices:
        difference = expected[matrix.name].astype(np.float64) - start[matrix.name]
        left = np.linalg.norm(expected[matrix.name].astype(np.float64) - values[matrix.name]) ** 2
        assert matrix.energy == pytest.approx(1 - left / np.linalg.norm(difference) ** 2, abs=1e-5)
        best = np.linalg.svd(difference)[1] ** 2
        assert matrix.energy == pytest.approx(best[:3].sum() / best.sum(), rel=0.02)
    for name, tensor in expected.items():
        total += float(((tensor.astype(np.float64) - start[name]) ** 2).sum())
        lost += float(((tensor.astype(np.float64) - values[name]) ** 2).sum())
    assert found.energy == pytest.approx(1 - lost / total, abs=1e-5)
    report = json.loads((tmp_path / "out" / "extraction.json").read_text())
    assert report["energy"] == found.energy
    assert len(report["matrices"]) == len(found.matrices)


def test_the_same_seed_the_same_bytes(tmp_path: Path) -> None:
    model, base = pair(tmp_path)
    files = []
    for name in ("a", "b"):
        extract_adapter(model, base, tmp_path / name, Extent(rank=3), seed=5)
        files.append((tmp_path / name / "adapter_model.safetensors").read_bytes())
    assert files[0] == files[1]


def test_ranks_that_differ_stand_in_the_patterns(tmp_path: Path) -> None:
    model, base = pair(tmp_path)
    found = extract_adapter(model, base, tmp_path / "out", Extent(energy=0.7))
    assert len({m.rank for m in found.matrices}) > 1
    assert all(m.energy >= 0.7 for m in found.matrices)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["rank_pattern"] == config["alpha_pattern"]
    laid_on(base, tmp_path / "out")  # ranks are checked against the config


def small(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return folder


def extracted(tmp_path: Path, mine: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> Extraction:
    return extract_adapter(small(tmp_path / "m", mine), small(tmp_path / "b", other), tmp_path / "out", FULL)


def test_what_is_not_captured_is_named(tmp_path: Path) -> None:
    zeros = {"q.weight": torch.zeros(3, 4), "experts.up": torch.zeros(2, 3, 4), "n": torch.zeros(2, dtype=torch.int64),
             "same.weight": torch.ones(2, 2)}  # fmt: skip
    ones = {name: torch.ones_like(tensor) for name, tensor in zeros.items()}
    found = extracted(tmp_path, ones, zeros)
    assert sorted(name for name, _ in found.not_captured) == ["experts.up", "n"]
    assert found.unchanged == 1
    assert found.matrices[0].rank == 1
    assert found.matrices[0].norm == pytest.approx(math.sqrt(12))


def test_what_cannot_be_extracted(tmp_path: Path) -> None:
    one = {"q.weight": torch.ones(3, 4)}
    for extent in (Extent(), Extent(rank=0), Extent(energy=1.5)):
        with pytest.raises(UsageError):
            extract_adapter(tmp_path, tmp_path, tmp_path / "out", extent)
    with pytest.raises(IncompatibleError, match="equal models"):
        extracted(tmp_path, one, one)
    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"m", "b"}
    shutil.rmtree(tmp_path / "m")
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(IncompatibleError) as error:
        extracted(tmp_path, {**one, "x": torch.ones(1)}, {"q.weight": torch.ones(4, 3), "y": torch.ones(1)})
    assert len(str(error.value).splitlines()) == 3


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    with pytest.raises(NumericError, match=r"q\.weight"):
        extracted(tmp_path, {"q.weight": torch.full((2, 2), torch.nan)}, {"q.weight": torch.ones(2, 2)})


def test_an_output_that_exists_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("mine")
    with pytest.raises(OutputExistsError):
        extracted(tmp_path, {"q.weight": torch.zeros(2, 2)}, {"q.weight": torch.ones(2, 2)})
    assert (tmp_path / "out" / "file").read_text() == "mine"
