from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from suture.checkpoint.header import Checkpoint, read_checkpoint
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.scaled import APPLIED, RUNTIME, ScaledReader, find_scaled
from suture.errors import BadInputError

BLOCKS = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [4, 8], "activation_scheme": "dynamic"}
CHANNELS = {"quant_method": "compressed-tensors", "format": "float-quantized"}


def model(folder: Path, quantisation: dict[str, Any] | None, **tensors: torch.Tensor) -> Checkpoint:
    config = {} if quantisation is None else {"quantization_config": quantisation}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name.replace("__", "."): t.contiguous() for name, t in tensors.items()}, folder / "model.safetensors")
    return read_checkpoint(folder)


def codes(*shape: int, dtype: torch.dtype = torch.float8_e4m3fn) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def read(checkpoint: Checkpoint, name: str, step: int) -> np.ndarray:
    scaled = find_scaled(checkpoint).weights[name]
    out = np.empty(scaled.weight.elements, np.float32)
    with TensorReader(checkpoint) as reader:
        source = ScaledReader(reader, scaled)
        for start in range(0, len(out), step):
            count = min(step, len(out) - start)
            raw = source.read_f32(start, count, out[start:])
            assert len(raw) == count
    return out.reshape(scaled.weight.shape)


@pytest.mark.parametrize("step", [1, 7, 16, 1000])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float8_e8m0fnu])
def test_blocks_as_deepseek_and_qwen_write_them(tmp_path: Path, step: int, kind: torch.dtype) -> None:
    """10 rows and 20 columns in blocks of 4 x 8 need 3 x 3 scales, the last ones cut."""
    weight = codes(10, 20)
    scale = (2.0 ** torch.arange(-4, 5).reshape(3, 3)).to(kind)
    checkpoint = model(tmp_path, BLOCKS, w__weight=weight, w__weight_scale_inv=scale)
    spread = scale.float().repeat_interleave(4, 0)[:10].repeat_interleave(8, 1)[:, :20]
    np.testing.assert_array_equal(read(checkpoint, "w.weight", step), (weight.float() * spread).numpy())
    assert find_scaled(checkpoint).served == {"w.weight_scale_inv": APPLIED}


@pytest.mark.parametrize("shape", [(), (1,), (6,), (6, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_scales_of_a_tensor_and_of_channels(tmp_path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = codes(6, 5, dtype=dtype)
    scale = torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 0.5
    checkpoint = model(tmp_path, CHANNELS, w__weight=weight, w__weight_scale=scale)
    factors = scale.reshape(-1, 1)
    np.testing.assert_array_equal(read(checkpoint, "w.weight", 4), (weight.float() * factors).numpy())


def test_experts_stacked_in_one_tensor(tmp_path: Path) -> None:
    weight, scale = codes(2, 8, 16), torch.rand(2, 2, 2)
    checkpoint = model(tmp_path, BLOCKS, experts__gate_up_proj=weight, experts__gate_up_proj_scale_inv=scale)
    spread = scale.repeat_interleave(4, 1).repeat_interleave(8, 2)
    np.testing.assert_array_equal(read(checkpoint, "experts.gate_up_proj", 50), (weight.float() * spread).numpy())


def test_fp8_without_any_scale_is_as_it_is(tmp_path: Path) -> None:
    weight = codes(3, 4, dtype=torch.float8_e5m2)
    found = read(model(tmp_path, None, w__weight=weight), "w.weight", 5)
    np.testing.assert_array_equal(found, weight.float().numpy())


def test_scales_of_the_run_time_are_named(tmp_path: Path) -> None:
    settings = {"quant_method": "modelopt", "quant_algo": "FP8"}
    one = torch.ones(())
    checkpoint = model(
        tmp_path,
        settings,
        q__weight=codes(2, 2),
        q__weight_scale=one,
        q__input_scale=one.clone(),
        attn__k_scale=one.clone(),
        norm__weight=torch.ones(2),
    )
    assert find_scaled(checkpoint).served == {
        "q.weight_scale": APPLIED,
        "q.input_scale": RUNTIME,
        "attn.k_scale": RUNTIME,
    }


@pytest.mark.parametrize("settings", [None, {"quant_method": "bitsandbytes", "load_in_4bit": True}])
def test_a_model_of_floats_has_none(settings: dict[str, Any] | None, tmp_path: Path) -> None:
    """Also where its config says how to quantise it while loading, as light fine-tunes leave it behind."""
    found = find_scaled(model(tmp_path, settings, w__weight=torch.ones(2)))
    assert (dict(found.weights), dict(found.served)) == ({}, {})


@pytest.mark.parametrize(
    ("settings", "tensors", "said"),
    [
        (BLOCKS, {"w__weight": codes(4, 8)}, "must have its scale beside it. Got none for 1 of 1: w.weight"),
        (BLOCKS, {"w__weight": codes(4, 8), "w__weight_scale_inv": torch.ones(2, 1)}, r"each 4 x 8 block. Got shape"),
        (CHANNELS, {"w__weight": codes(4, 8), "w__weight_scale": torch.ones(8)}, "output channel. Got shape"),
        (CHANNELS, {"w__weight": codes(4, 8), "w__weight_scale": torch.ones(1, dtype=torch.int32)}, "A scale must be"),
        (None, {"w__weight": codes(4, 8), "w__weight_scale": torch.ones(2, 4)}, "must be one for the tensor"),
        (
            CHANNELS,
            {"w__weight": codes(4, 8), "w__weight_scale": torch.ones(1), "v__weight_scale": torch.ones(1)},
            "1 others .quant_method 'compressed-tensors'.: 'v.weight_scale' F32",
        ),
        (
            CHANNELS,
            {"w__weight": codes(4, 8), "w__weight_scale": torch.ones(1), "v__weight": torch.ones(2).to(torch.int8)},
            "1 others .*: 'v.weight' I8",
        ),
        ({"quant_method": "gptq", "bits": 4}, {"w__qweight": torch.ones(2, dtype=torch.int32)}, "'gptq'.: 'w.qweight'"),
        ({"quant_method": "quanto"}, {"w__weight": codes(4, 8), "w__weight_scale": torch.ones(1)}, "Got 'quanto'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tmp_path: Path, settings: dict[str, Any] | None, tensors: dict[str, torch.Tensor], said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        find_scaled(model(tmp_path, settings, **tensors))
