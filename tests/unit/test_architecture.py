"""The structure of models from config and names alone, on the names that real checkpoints have."""

from __future__ import annotations

from typing import Any

import pytest

from suture.architecture import Architecture, architecture_of, expert_of, with_layers
from suture.errors import IncompatibleError

LLAMA_LAYER = (
    *(f"self_attn.{n}_proj.weight" for n in "qkvo"),
    *("mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"),
    *("input_layernorm.weight", "post_attention_layernorm.weight"),
)
NEOX_LAYER = (
    *("attention.query_key_value.weight", "attention.query_key_value.bias", "attention.dense.weight"),
    *("mlp.dense_h_to_4h.weight", "mlp.dense_4h_to_h.bias", "input_layernorm.weight"),
)
MIXTRAL_LAYER = (
    *("self_attn.q_proj.weight", "block_sparse_moe.gate.weight", "input_layernorm.weight"),
    *(f"block_sparse_moe.experts.{e}.{w}.weight" for e in range(4) for w in ("w1", "w2", "w3")),
)
QWEN_MOE_LAYER = (
    *("self_attn.q_proj.weight", "self_attn.q_norm.weight", "mlp.gate.weight"),
    *(f"mlp.experts.{e}.{w}_proj.weight" for e in range(8) for w in ("gate", "up", "down")),
)
T5_BLOCK = ("layer.0.SelfAttention.q.weight", "layer.0.layer_norm.weight", "layer.1.DenseReluDense.wi.weight")


def decoder(prefix: str, layers: int, parts: tuple[str, ...], before: tuple[str, ...], after: tuple[str, ...]) -> Any:
    return [*before, *(f"{prefix}.{layer}.{part}" for layer in range(layers) for part in parts), *after]


def llama(layers: int, head: bool = True, prefix: str = "model") -> list[str]:
    after = (f"{prefix}.norm.weight", *(("lm_head.weight",) if head else ()))
    return list(decoder(f"{prefix}.layers", layers, LLAMA_LAYER, (f"{prefix}.embed_tokens.weight",), after))


def text(layers: int, **more: Any) -> dict[str, Any]:
    return {"num_hidden_layers": layers, "vocab_size": 320, **more}


GEMMA3_VISION = [
    *(f"model.vision_tower.vision_model.encoder.layers.{i}.mlp.fc1.weight" for i in range(3)),
    "model.vision_tower.vision_model.embeddings.patch_embedding.weight",
    "model.multi_modal_projector.mm_input_projection_weight",
]
QWEN_VISION = [
    *(f"visual.blocks.{i}.attn.qkv.weight" for i in range(6)),
    *("visual.merger.mlp.0.weight", "visual.merger.mlp.2.weight", "visual.patch_embed.proj.weight"),
]
T5 = [
    "shared.weight",
    *(f"{side}.block.{i}.{part}" for side in ("encoder", "decoder") for i in range(3) for part in T5_BLOCK),
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "encoder.final_layer_norm.weight",
    "decoder.final_layer_norm.weight",
    "lm_head.weight",
]

CASES: dict[str, tuple[dict[str, Any], list[str], str, int]] = {
    "llama": (text(4), llama(4), "model.layers", 4),
    "mistral": (text(5, sliding_window=4096), llama(5), "model.layers", 5),
    "qwen2, tied": (text(3, tie_word_embeddings=True), llama(3, head=False), "model.layers", 3),
    "qwen3, one layer": (text(1), llama(1), "model.layers", 1),
    "gemma2": (text(2), llama(2, head=False), "model.layers", 2),
    "gemma3 text": (text(6, layer_types=["sliding_attention"] * 6), llama(6, head=False), "model.layers", 6),
    "gemma3 with vision": (
        {"text_config": text(4), "vision_config": {"num_hidden_layers": 3}},
        [*llama(4, head=False, prefix="model.language_model"), *GEMMA3_VISION],
        "model.language_model.layers",
        4,
    ),
    "qwen2-vl": (text(4, vision_config={"depth": 6}), [*QWEN_VISION, *llama(4)], "model.layers", 4),
    "phi3": (text(4), llama(4), "model.layers", 4),
    "gpt-neox": (
        text(4),
        decoder(
            "gpt_neox.layers",
            4,
            NEOX_LAYER,
            ("gpt_neox.embed_in.weight",),
            ("gpt_neox.final_layer_norm.weight", "embed_out.weight"),
        ),
        "gpt_neox.layers",
        4,
    ),
    "gpt2": (
        {"n_layer": 3, "vocab_size": 320},
        decoder("h", 3, ("attn.c_attn.weight", "ln_1.bias"), ("wte.weight", "wpe.weight"), ("ln_f.weight",)),
        "h",
        3,
    ),
    "falcon": (
        text(3),
        decoder(
            "transformer.h",
            3,
            ("self_attention.query_key_value.weight",),
            ("transformer.word_embeddings.weight",),
            ("transformer.ln_f.weight", "lm_head.weight"),
        ),
        "transformer.h",
        3,
    ),
    "mixtral": (
        text(3, num_local_experts=4),
        decoder("model.layers", 3, MIXTRAL_LAYER, ("model.embed_tokens.weight",), ("model.norm.weight",)),
        "model.layers",
        3,
    ),
    "qwen3-moe": (
        text(2, num_experts=8),
        decoder("model.layers", 2, QWEN_MOE_LAYER, ("model.embed_tokens.weight",), ("model.norm.weight",)),
        "model.layers",
        2,
    ),
    "t5": ({"num_layers": 3, "num_decoder_layers": 3, "vocab_size": 320}, T5, "decoder.block", 3),
}


def architecture(case: str) -> Architecture:
    config, names, _, _ = CASES[case]
    return architecture_of(config, names)


@pytest.mark.parametrize("case", CASES)
def test_the_main_stack_is_found(case: str) -> None:
    found = architecture(case).main
    assert found is not None
    assert (found.prefix, found.count) == CASES[case][2:]


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_has_its_side_and_its_name_back(case: str) -> None:
    config, names, prefix, count = CASES[case]
    found = architecture_of(config, names)
    for name in names:
        spot = found.spot(name)
        assert spot.at(spot.layer) == name
        assert (spot.stack is not None) == (spot.side == "within")
    inside = [found.spot(name) for name in names if name.startswith(f"{prefix}.")]
    assert {spot.layer for spot in inside} == set(range(count))
    outside = {name: found.spot(name).side for name in names if found.spot(name).stack is None}
    for name, side in outside.items():
        if name.startswith(("model.norm", "lm_head", "embed_out", "ln_f", "gpt_neox.final", "transformer.ln_f")):
            assert side == "after", name
        if "embed_tokens" in name or name in ("wte.weight", "wpe.weight", "shared.weight", "gpt_neox.embed_in.weight"):
            assert side == "before", name


def test_other_stacks_are_stacks_of_their_own() -> None:
    assert set(architecture("gemma3 with vision").stacks) == {
        "model.language_model.layers",
        "model.vision_tower.vision_model.encoder.layers",
    }
    assert set(architecture("qwen2-vl").stacks) == {"model.layers", "visual.blocks"}  # visual.merger.mlp is none
    assert set(architecture("t5").stacks) == {"encoder.block", "decoder.block"}


def test_positions_run_from_the_first_layer_to_the_last() -> None:
    found = architecture("mistral")
    at = [found.position(found.spot(f"model.layers.{layer}.mlp.up_proj.weight")) for layer in range(5)]
    assert at == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert found.position(found.spot("lm_head.weight")) == 0.0
    single = architecture("qwen3, one layer")
    assert single.position(single.spot("model.layers.0.mlp.up_proj.weight")) == 1.0


@pytest.mark.parametrize(
    ("case", "name", "shape", "axis"),
    [
        ("llama", "model.embed_tokens.weight", (320, 16), 0),
        ("llama", "lm_head.weight", (320, 16), 0),
        ("llama", "model.norm.weight", (320,), None),
        ("llama", "model.layers.0.mlp.up_proj.weight", (320, 16), None),
        ("gpt-neox", "embed_out.weight", (320, 16), 0),
        ("gpt2", "wte.weight", (320, 16), 0),
        ("gpt2", "wpe.weight", (320, 16), None),
        ("t5", "shared.weight", (320, 16), 0),
        ("falcon", "transformer.word_embeddings.weight", (320, 16), 0),
        ("gemma3 with vision", "model.vision_tower.vision_model.embeddings.patch_embedding.weight", (320, 3), None),
    ],
)
def test_the_axis_of_the_vocabulary(case: str, name: str, shape: tuple[int, ...], axis: int | None) -> None:
    assert architecture(case).vocabulary_axis(name, shape) == axis
    assert architecture(case).vocabulary_size == 320


def test_experts() -> None:
    assert expert_of("model.layers.0.block_sparse_moe.experts.3.w1.weight") == 3
    assert expert_of("model.layers.11.mlp.experts.127.up_proj.weight") == 127
    assert expert_of("model.layers.0.mlp.shared_expert.up_proj.weight") is None
    assert expert_of("model.layers.0.mlp.experts.gate_up_proj") is None  # all experts in one tensor


def test_tied_heads_and_parts() -> None:
    assert architecture("qwen2, tied").tied
    assert not architecture("llama").tied
    vision = architecture("gemma3 with vision")
    assert vision.part_of("model.vision_tower.vision_model.embeddings.patch_embedding.weight") == "vision_tower"
    assert vision.part_of("model.multi_modal_projector.mm_input_projection_weight") == "multi_modal_projector"
    assert vision.part_of("model.language_model.layers.0.mlp.up_proj.weight") == "text"
    assert architecture("t5").part_of("encoder.block.0.layer.0.SelfAttention.q.weight") == "encoder"


def test_a_config_for_other_layers() -> None:
    config = {**text(3, layer_types=["a", "b", "c"], mlp_only_layers=[0]), "eos_token_id": [1, 2, 3]}
    found = architecture_of(config, llama(3))
    assert found.main is not None
    changed = with_layers(config, found.main, [(config, 0), (config, 2), (config, 0), (config, 1)])
    assert changed == {
        "num_hidden_layers": 4,
        "vocab_size": 320,
        "layer_types": ["a", "c", "a", "b"],
        "mlp_only_layers": [0, 2],
        "eos_token_id": [1, 2, 3],
    }
    assert config["num_hidden_layers"] == 3


def test_a_config_of_parts_for_other_layers() -> None:
    config, names, _, _ = CASES["gemma3 with vision"]
    found = architecture_of(config, names)
    assert found.main is not None
    changed = with_layers(config, found.main, [(config, 1)] * 7)
    assert changed["text_config"]["num_hidden_layers"] == 7
    assert changed["vision_config"] == {"num_hidden_layers": 3}
    tower = found.stacks["model.vision_tower.vision_model.encoder.layers"]
    assert with_layers(config, tower, [(config, 0)])["vision_config"] == {"num_hidden_layers": 1}
    both, names, _, _ = CASES["t5"]
    stacks = architecture_of(both, names).stacks
    assert with_layers(both, stacks["decoder.block"], [(both, 0)])["num_decoder_layers"] == 1
    assert with_layers(both, stacks["encoder.block"], [(both, 0)])["num_layers"] == 1


def test_a_config_that_does_not_count_its_layers() -> None:
    found = architecture_of({}, llama(3))
    assert found.main is not None
    with pytest.raises(IncompatibleError, match="3 layers"):
        with_layers({}, found.main, [({}, 0)])
