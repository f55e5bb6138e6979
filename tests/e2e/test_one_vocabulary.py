"""Adapters and unions by the command: references `base+adapter`, another vocabulary."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import transformers
from safetensors.torch import load_file, save_file

from suture.cli import main
from suture.testing.tiny import CHAT_TEMPLATE, tiny_model


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def recipe(folder: Path, *models: object, extra: str = "") -> Path:
    file = folder / "recipe.yaml"
    listed = "".join(f"  - {{model: {model}}}\n" for model in models)
    head = f"merge_method: linear\nparameters: {{weight: 0.5}}\ngeneral: {models[0]}\n"
    file.write_text(f"{head}{extra}models:\n{listed}")
    return file


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A base, and a copy of it that was changed by a known low-rank update."""
    base = tiny_model(tmp_path / "base", seed=1)
    tuned = shutil.copytree(base, tmp_path / "tuned")
    tensors, other = (load_file(f / "model.safetensors") for f in (base, tiny_model(tmp_path / "other", seed=2)))
    for name, tensor in tensors.items():
        if tensor.dim() == 2 and "embed" not in name:
            tensor += other[name][:, :1] @ other[name][:1]
    save_file(tensors, tuned / "model.safetensors", {"format": "pt"})
    return base, tuned


def test_an_adapter_is_a_model(pair: tuple[Path, Path], tmp_path: Path) -> None:
    base, tuned = pair
    assert run("extract-lora", tuned, base, tmp_path / "lora", "--rank", 1) == 0
    assert run("merge", recipe(tmp_path, base, f"{base}+{tmp_path / 'lora'}"), tmp_path / "out") == 0
    one, other, found = (load_file(f / "model.safetensors") for f in (base, tuned, tmp_path / "out"))
    for name, tensor in found.items():
        assert float((tensor - (one[name] + other[name]) / 2).abs().max()) < 1e-6


def test_a_union(tmp_path: Path) -> None:
    general, clinical = tiny_model(tmp_path / "general", seed=1), tiny_model(tmp_path / "clinical", seed=2)
    model = transformers.AutoModelForCausalLM.from_pretrained(clinical)
    tokenizer = transformers.AutoTokenizer.from_pretrained(clinical)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|note|>"]})
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    shutil.rmtree(clinical)
    model.save_pretrained(clinical)
    tokenizer.save_pretrained(clinical)
    assert run("merge", recipe(tmp_path, general, clinical), tmp_path / "out") == 4
    union = recipe(tmp_path, general, clinical, extra="tokenizer_source: union\n")
    assert run("merge", union, tmp_path / "out") == 0
    loaded, told = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(told.values())
    out = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert loaded.config.vocab_size == len(out) == len(tokenizer)
    assert out.convert_tokens_to_ids("<|note|>") == len(tokenizer) - 1
    assert out.chat_template == CHAT_TEMPLATE
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["weights_digest"]
