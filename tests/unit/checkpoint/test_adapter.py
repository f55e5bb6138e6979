"""Adapters against PEFT's own merge_and_unload, and everything about them that is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from suture.checkpoint.adapter import TOKEN_ROWS, apply_adapter, is_adapter, read_adapter
from suture.checkpoint.header import Checkpoint, TensorInfo, read_checkpoint
from suture.checkpoint.opened import blocks_of, open_input, reading
from suture.checkpoint.source import Source, elements_of
from suture.errors import BadInputError, IncompatibleError
from suture.merge import execute
from suture.plan import make_plan
from suture.recipe import parse_recipe

TOLERANCE = 2e-7  # PEFT sums over the rank in fp32: a few units in the last place of weights around 0.1


def llama(**changes: Any) -> transformers.PreTrainedModel:
    sizes = {"vocab_size": 48, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads, **changes))


def gpt2() -> transformers.PreTrainedModel:
    config = transformers.GPT2Config(
        vocab_size=48, n_embd=16, n_layer=1, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=1
    )
    return transformers.GPT2LMHeadModel(config)


LINEAR = ["q_proj", "down_proj"]
KINDS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "lora": (llama, {"target_modules": LINEAR, "lora_alpha": 7}),
    "rslora": (llama, {"target_modules": LINEAR, "use_rslora": True}),
    "dora": (llama, {"target_modules": LINEAR, "use_dora": True}),
    "patterns": (
        llama,
        {
            "target_modules": LINEAR,
            "rank_pattern": {"down_proj": 3},
            "alpha_pattern": {r"layers\.1\.self_attn\.q_proj": 30},
        },
    ),
    "embedding": (llama, {"target_modules": ["embed_tokens", "q_proj"]}),
    "dora embedding": (llama, {"target_modules": ["embed_tokens"], "use_dora": True}),
    "fan in fan out": (gpt2, {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
    "dora fan in fan out": (gpt2, {"target_modules": ["c_attn"], "fan_in_fan_out": True, "use_dora": True}),
    "saved modules": (llama, {"target_modules": LINEAR, "modules_to_save": ["lm_head", "norm"]}),
    "single tokens": (llama, {"target_modules": LINEAR, "trainable_token_indices": {"embed_tokens": [40, 3, 7]}}),
    "single tokens, tied": (
        lambda: llama(tie_word_embeddings=True),
        {"target_modules": LINEAR, "trainable_token_indices": [5, 2]},
    ),
    "bias": (lambda: llama(attention_bias=True), {"target_modules": LINEAR, "bias": "all"}),
    "bias of the adapter": (lambda: llama(attention_bias=True), {"target_modules": ["q_proj"], "lora_bias": True}),
}


def adapt(folder: Path, make: Callable[[], Any], options: dict[str, Any], dtype: torch.dtype = torch.float32) -> Any:
    """Save a random base and a random adapter on it; return the model with the adapter merged by PEFT, in fp32."""
    torch.manual_seed(3)
    model = make().to(dtype)
    model.save_pretrained(folder / "base")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, task_type="CAUSAL_LM", **options))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                parameter += (
                    0.3 * torch.randn_like(parameter) if "magnitude" not in name else torch.rand_like(parameter)
                )
    adapted.save_pretrained(folder / "adapter")
    return adapted.float().merge_and_unload()


def read(checkpoints: tuple[Checkpoint, ...], given: Any, block: int = 1 << 20) -> np.ndarray:
    with reading(*checkpoints) as reader_of:
        found = np.empty(elements_of(given), np.float32)
        for start, values in blocks_of(open_input(given, reader_of), found.size, block):
            found[start : start + values.size] = values
    return found.reshape(given.shape)


def opened(folder: Path) -> tuple[tuple[Checkpoint, Checkpoint], dict[str, Any]]:
    base, adapter = read_checkpoint(folder / "base"), read_adapter(folder / "adapter")
    return (base, adapter), apply_adapter(base.tensors, adapter)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_merge_of_peft(kind: str, dtype: str, tmp_path: Path) -> None:
    merged = adapt(tmp_path, *KINDS[kind], dtype=getattr(torch, dtype))
    checkpoints, tensors = opened(tmp_path)
    expected = merged.state_dict()
    assert list(tensors) == list(checkpoints[0].tensors)
    changed = 0
    for name, given in tensors.items():
        found = read(checkpoints, given)
        np.testing.assert_allclose(found, expected[name].numpy(), rtol=2e-6, atol=TOLERANCE, err_msg=name)
        changed += given is not checkpoints[0].tensors[name]
    assert changed >= 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["lora", "dora", "dora embedding", "dora fan in fan out", "bias of the adapter"])
def test_bits_do_not_depend_on_blocks(kind: str, tmp_path: Path) -> None:
    adapt(tmp_path, *KINDS[kind])
    checkpoints, tensors = opened(tmp_path)
    for given in tensors.values():
        whole = read(checkpoints, given)
        for block in (1, 7, 16, 33):
            assert read(checkpoints, given, block).tobytes() == whole.tobytes()


@pytest.mark.filterwarnings("ignore")
def test_one_rounding_of_the_exact_value(tmp_path: Path) -> None:
    adapt(tmp_path, *KINDS["lora"], dtype=torch.bfloat16)
    checkpoints, tensors = opened(tmp_path)
    name = "model.layers.1.mlp.down_proj.weight"
    factors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    base = load_file(tmp_path / "base" / "model.safetensors")[name].double().numpy()
    a, b = (factors[f"base_model.model.{name[:-7]}.lora_{x}.weight"].double().numpy() for x in "AB")
    np.testing.assert_array_equal(read(checkpoints, tensors[name]), (base + 7 / 4 * (b @ a)).astype(np.float32))


def test_hand_computed(tmp_path: Path) -> None:
    write(tmp_path / "base", {"x.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}, {"model_type": "llama"}, "model")
    factors = {"x.lora_A.weight": torch.tensor([[1.0, -1.0]]), "x.lora_B.weight": torch.tensor([[2.0], [1.0]])}
    save_adapter(tmp_path, factors, r=1, lora_alpha=3)
    checkpoints, tensors = opened(tmp_path)
    assert read(checkpoints, tensors["x.weight"]).tolist() == [[7.0, -4.0], [6.0, 1.0]]
    save_adapter(
        tmp_path, {**factors, "x.lora_magnitude_vector": torch.tensor([130.0, 74.0])}, r=1, lora_alpha=3, use_dora=True
    )
    checkpoints, tensors = opened(tmp_path)
    expected = np.array([[7.0, -4.0], [6.0, 1.0]]) * (np.array([[130.0], [74.0]]) / np.sqrt([[65.0], [37.0]]))
    np.testing.assert_array_equal(read(checkpoints, tensors["x.weight"]), expected.astype(np.float32))


@pytest.mark.filterwarnings("ignore")
def test_a_source_says_what_it_is(tmp_path: Path) -> None:
    adapt(tmp_path, *KINDS["dora"], dtype=torch.bfloat16)
    given = opened(tmp_path)[1]["model.layers.0.self_attn.q_proj.weight"]
    assert isinstance(given, Source)
    assert given == opened(tmp_path)[1]["model.layers.0.self_attn.q_proj.weight"]
    assert hash(given) is not None
    assert given.dtype == "BF16"
    assert [info.name.rpartition("q_proj.")[2] for info in given.stored] == [
        *("weight", "lora_A.weight", "lora_B.weight", "lora_magnitude_vector")
    ]
    assert json.loads(json.dumps(given.describe()))["kind"] == "dora"
    assert is_adapter(tmp_path / "adapter")
    assert not is_adapter(tmp_path / "base")


def write(folder: Path, tensors: dict[str, torch.Tensor], config: dict[str, Any], stem: str) -> None:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / f"{stem}.safetensors")
    name = "config.json" if stem == "model" else "adapter_config.json"
    (folder / name).write_text(json.dumps(config))


def save_adapter(folder: Path, tensors: dict[str, torch.Tensor], **config: Any) -> None:
    named = {f"base_model.model.{name}": tensor for name, tensor in tensors.items()}
    write(folder / "adapter", named, {"peft_type": "LORA", "r": 2, "lora_alpha": 2, **config}, "adapter_model")


BASE = {
    "model.embed_tokens.weight": torch.ones(6, 4),
    "model.layers.0.q.weight": torch.ones(3, 4),
    "model.norm.weight": torch.ones(4),
}
A, B = torch.ones(2, 4), torch.ones(3, 2)
Q = "model.layers.0.q"


def refused(tmp_path: Path, kind: type[Exception], tensors: dict[str, torch.Tensor], **config: Any) -> str:
    write(tmp_path / "base", BASE, {"model_type": "llama"}, "model")
    save_adapter(tmp_path, tensors, **config)
    with pytest.raises(kind) as error:
        opened(tmp_path)
    return str(error.value)


@pytest.mark.parametrize(
    ("tensors", "config", "words"),
    [
        ({"model.layers.7.q.lora_A.weight": A, "model.layers.7.q.lora_B.weight": B}, {}, "layers.7.q.weight"),
        ({f"{Q}.lora_A.weight": A}, {}, "both factors"),
        ({f"{Q}.lora_A.weight": torch.ones(2, 5), f"{Q}.lora_B.weight": B}, {}, "[2, 5] and [3, 2]"),
        ({f"{Q}.lora_A.weight": B.T.contiguous(), f"{Q}.lora_B.weight": A.T.contiguous()}, {}, "[2, 3] and [4, 2]"),
        ({f"{Q}.lora_A.weight": A, f"{Q}.lora_B.weight": B}, {"r": 3}, "adapter_config.json, 3"),
        ({f"{Q}.lora_A.weight": A, f"{Q}.lora_B.weight": B}, {"use_dora": True}, "use_dora"),
        (
            {f"{Q}.lora_A.weight": A, f"{Q}.lora_B.weight": B, f"{Q}.lora_magnitude_vector": torch.ones(3)},
            {},
            "use_dora",
        ),
        ({f"{Q}.lora_A.weight": A, f"{Q}.lora_B.weight": B, f"{Q}.lora_B.bias": torch.ones(3)}, {}, "needs one of"),
        ({f"{Q}.lora_A.weight": A, f"{Q}.lora_B.weight": B}, {"lora_alpha": "x"}, "lora_alpha"),
        ({f"{Q}.lora_A.weight": A.double(), f"{Q}.lora_B.weight": B}, {}, "in F64"),
        ({"model.embed_tokens.weight": torch.ones(8, 4)}, {}, "resize the base's vocabulary"),
        ({"lm_head.weight": torch.ones(6, 4)}, {}, "ties its head"),
        ({"score.weight": torch.ones(2, 4)}, {}, "score.weight"),
        ({f"model.embed_tokens{TOKEN_ROWS}": torch.ones(2, 4)}, {"trainable_token_indices": [1, 6]}, "below 6"),
        ({f"model.embed_tokens{TOKEN_ROWS}": torch.ones(2, 4)}, {"trainable_token_indices": [1]}, "the shape [1, 4]"),
        ({}, {}, "must change a tensor"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, tensors: dict[str, torch.Tensor], config: dict[str, Any], words: str
) -> None:
    assert words in refused(tmp_path, IncompatibleError, tensors, **config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"peft_type": "IA3"}, "'IA3'"),
        ({"peft_type": None}, "None"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"r": "8"}, "r must be a whole number"),
        ({"rank_pattern": {"(": 1}}, "regular expressions"),
        ({"alpha_pattern": [1]}, "must be an object"),
    ],
)
def test_other_kinds_are_refused(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    assert words in refused(tmp_path, BadInputError, {f"{Q}.lora_A.weight": A, f"{Q}.lora_B.weight": B}, **config)


def test_all_problems_at_once(tmp_path: Path) -> None:
    tensors = {
        "model.norm.weight": torch.ones(5),
        f"{Q}.lora_A.weight": A,
        "a.weight": A.clone(),
        "b.weight": A.clone(),
    }
    text = refused(tmp_path, IncompatibleError, tensors)
    assert len(text.splitlines()) == 3
    assert "none of a.weight, b.weight" in text


def test_pickles_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such folder"):
        read_adapter(tmp_path / "none")
    folder = tmp_path / "adapter"
    folder.mkdir()
    with pytest.raises(BadInputError, match="adapter_config"):
        read_adapter(folder)
    (folder / "adapter_config.json").write_text("[")
    with pytest.raises(BadInputError, match="unreadable"):
        read_adapter(folder)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 1}')
    (folder / "adapter_model.bin").write_bytes(b"PK")
    with pytest.raises(BadInputError, match="Pickles are never opened"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("module", "tensor"),
    [
        ("model.layers.0.q", "model.layers.0.q.weight"),
        ("layers.0.q", "model.layers.0.q.weight"),
        ("model.language_model.layers.0.q", "language_model.model.layers.0.q.weight"),
    ],
)
def test_modules_in_memory_find_their_tensors(tmp_path: Path, module: str, tensor: str) -> None:
    others = {"vision_tower.vision_model.layers.1.q.weight": torch.ones(3, 4)}
    write(tmp_path / "base", {tensor: torch.ones(3, 4), **others}, {}, "model")
    save_adapter(tmp_path, {f"{module}.lora_A.weight": A, f"{module}.lora_B.weight": B})
    _, tensors = opened(tmp_path)
    assert [name for name, given in tensors.items() if not isinstance(given, TensorInfo)] == [tensor]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["lora", "dora", "saved modules"])
def test_an_adapter_merges_in_the_engine(kind: str, tmp_path: Path) -> None:
    merged = adapt(tmp_path, *KINDS[kind]).state_dict()
    shutil.copytree(tmp_path / "base", tmp_path / "same")
    plan = make_plan(
        parse_recipe(
            f"merge_method: linear\ngeneral: {tmp_path / 'base'}\nparameters: {{weight: 0.5}}\n"
            f"models: [{{model: {tmp_path / 'base'}}}, {{model: {tmp_path / 'same'}}}]\n"
        )
    )
    adapter = read_adapter(tmp_path / "adapter")
    adapted = apply_adapter(plan.checkpoints[1].tensors, adapter)
    jobs = tuple(replace(job, inputs=(job.inputs[0], adapted[job.name])) for job in plan.jobs)
    checkpoints, inputs = (*plan.checkpoints, adapter), (*plan.inputs, "adapter")
    plan = replace(plan, jobs=jobs, checkpoints=checkpoints, inputs=inputs)
    digests = {execute(plan, tmp_path / f"out{n}", workers=n).weights_digest for n in (1, 3)}
    assert len(digests) == 1
    base = load_file(tmp_path / "base" / "model.safetensors")
    for name, tensor in load_file(tmp_path / "out1" / "model.safetensors").items():
        expected = (base[name].double() + merged[name].double()) / 2
        np.testing.assert_allclose(tensor.numpy(), expected.numpy(), rtol=2e-6, atol=TOLERANCE, err_msg=name)
