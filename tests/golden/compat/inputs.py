"""Four tiny random Llamas, the same on every machine: a base and three models near it, two layers of width 16."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

HIDDEN, INNER, VOCABULARY = 16, 24, 20
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "rope_theta": 10000.0,
}
LAYER = {
    **{f"self_attn.{n}_proj.weight": (HIDDEN, HIDDEN) for n in "qkvo"},
    "mlp.gate_proj.weight": (INNER, HIDDEN),
    "mlp.up_proj.weight": (INNER, HIDDEN),
    "mlp.down_proj.weight": (HIDDEN, INNER),
    "input_layernorm.weight": (HIDDEN,),
    "post_attention_layernorm.weight": (HIDDEN,),
}


def shapes(layers: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor."""
    return {
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
        **{f"model.layers.{i}.{name}": shape for i in range(layers) for name, shape in LAYER.items()},
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (VOCABULARY, HIDDEN),
    }


def write_models(folder: Path, *, layers: int = 2) -> None:
    """Write a, b, c, d in bfloat16 and, as a32 to d32, in float32; a is what the others are near to."""
    for dtype, suffix in ((torch.bfloat16, ""), (torch.float32, "32")):
        base: dict[str, np.ndarray] = {}
        for seed, name in enumerate("abcd"):
            draws = np.random.RandomState(seed)  # its stream is frozen for good
            tensors = {}
            for tensor, shape in shapes(layers).items():
                drawn = draws.standard_normal(shape) * (0.05 if "norm" not in tensor else 0.2)
                drawn += 1.0 if "norm" in tensor else 0.0
                base.setdefault(tensor, drawn)
                near = drawn if name == "a" else base[tensor] + 0.3 * (drawn - base[tensor])
                tensors[tensor] = torch.from_numpy(near.astype(np.float32)).to(dtype)
            place = folder / f"{name}{suffix}"
            place.mkdir()
            save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
            written = CONFIG | {"num_hidden_layers": layers, "torch_dtype": str(dtype).removeprefix("torch.")}
            (place / "config.json").write_text(json.dumps(written, indent=1))
