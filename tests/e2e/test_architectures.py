"""Architectures: each merges by the command, reloads in transformers without a missing or unexpected key, and gives
its own logits when merged with itself.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open

from suture.checkpoint.load import load_model
from suture.cli import main
from suture.errors import IncompatibleError
from suture.testing.tiny import ARCHITECTURES, tiny_architecture, tiny_model


def merged(general: Path, clinical: Path, out: Path) -> Path:
    recipe = out.with_suffix(".yaml")
    recipe.write_text(
        f"merge_method: linear\ngeneral: {general}\nparameters: {{weight: 0.5}}\n"
        f"models: [{{model: {general}}}, {{model: {clinical}}}]\n"
    )
    with pytest.raises(SystemExit) as end:
        main(["merge", str(recipe), str(out), "--workers", "1"])
    assert end.value.code == 0
    return out


def loaded(folder: Path) -> Any:
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, told = getattr(transformers, name).from_pretrained(folder, output_loading_info=True, dtype="float32")
    assert {key: set(found) for key, found in told.items() if found} == {}
    return model.eval()


def logits(folder: Path) -> torch.Tensor:
    model = loaded(folder)
    ids = torch.tensor([[1, 5, 9, 17, 33]])
    inputs: dict[str, torch.Tensor] = {"input_ids": ids}
    if model.config.model_type == "llava":
        inputs = {
            "input_ids": torch.tensor([[1, 3, 3, 3, 3, 9]]),
            "pixel_values": torch.linspace(-1, 1, 192).view(1, 3, 8, 8),
        }
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    with torch.no_grad():
        found: torch.Tensor = model(**inputs).logits
    return found


def tensors(folder: Path) -> dict[str, np.ndarray]:
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: file.get_tensor(name).double().numpy() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_an_architecture_merges_and_reloads(kind: str, tmp_path: Path) -> None:
    one, other = tiny_architecture(kind, tmp_path / "one", 1), tiny_architecture(kind, tmp_path / "other", 2)
    shutil.copytree(one, tmp_path / "copy")
    same = merged(one, tmp_path / "copy", tmp_path / "same")
    assert torch.equal(logits(same), logits(one))

    mean = merged(one, other, tmp_path / "mean")
    left, right, found = tensors(one), tensors(other), tensors(mean)
    assert list(found) == list(left)
    for name, values in found.items():
        assert not np.array_equal(left[name], right[name]), name
        np.testing.assert_allclose(values, (left[name] + right[name]) / 2, rtol=2e-7, atol=1.2e-7, err_msg=name)
    assert torch.isfinite(logits(mean)).all()
    assert not torch.allclose(logits(mean), logits(one))


def test_what_runs_is_loaded_by_its_config(tmp_path: Path) -> None:
    words = tiny_model(tmp_path / "words")
    for kind in ("llava", "t5"):
        folder = tiny_architecture(kind, tmp_path / kind)
        for file in words.glob("*token*"):
            shutil.copy(file, folder / file.name)
    model, _ = load_model(tmp_path / "llava")
    with torch.no_grad():
        assert torch.isfinite(model(torch.tensor([[1, 5, 9]])).logits).all()
    with pytest.raises(IncompatibleError, match="t5"):
        load_model(tmp_path / "t5")
