"""Random checkpoints of named shapes for the benchmarks: related bf16 models, as fine-tunes of one base are."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

POOL = 1 << 22
GB = 10**9


@dataclass(frozen=True)
class Shape:
    """A Llama: dimensions as in its config, and bytes of a shard."""

    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    key_values: int
    shard_bytes: int

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes in the order of the original's files."""
        h, m, kv = self.hidden, self.intermediate, self.key_values
        yield "model.embed_tokens.weight", (self.vocabulary, h)
        for layer in range(self.layers):
            place = f"model.layers.{layer}."
            yield place + "input_layernorm.weight", (h,)
            yield place + "mlp.down_proj.weight", (h, m)
            yield place + "mlp.gate_proj.weight", (m, h)
            yield place + "mlp.up_proj.weight", (m, h)
            yield place + "post_attention_layernorm.weight", (h,)
            yield place + "self_attn.k_proj.weight", (kv, h)
            yield place + "self_attn.o_proj.weight", (h, h)
            yield place + "self_attn.q_proj.weight", (h, h)
            yield place + "self_attn.v_proj.weight", (kv, h)
        yield "model.norm.weight", (h,)
        yield "lm_head.weight", (self.vocabulary, h)

    def config(self) -> dict[str, object]:
        """config.json."""
        return {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "vocab_size": self.vocabulary,
            "num_attention_heads": self.hidden // 64,
            "num_key_value_heads": self.key_values // 64,
            "dtype": "bfloat16",
            "tie_word_embeddings": False,
        }


SHAPES = {
    "tiny": Shape(2, 256, 688, 1000, 64, 5 * GB),
    "1b": Shape(22, 2048, 5632, 32000, 256, 5 * GB),
    "8b": Shape(32, 4096, 14336, 128256, 1024, 5 * GB),
}


def shape_of(name: str, layers: int | None = None) -> Shape:
    """The named shape, with fewer layers if asked for."""
    return replace(SHAPES[name], layers=layers) if layers else SHAPES[name]


def make_models(shape: Shape, folder: Path, count: int) -> list[Path]:
    """Write `count` models that differ by about 2 % from one another, unless they stand there already."""
    made = []
    for number in range(count):
        target = folder / f"model-{number}"
        if not (target / "config.json").is_file():
            _write_model(shape, target, number)
        made.append(target)
    return made


def _write_model(shape: Shape, target: Path, number: int) -> None:
    target.mkdir(parents=True, exist_ok=True)
    shards = _sharded(shape)
    placed: dict[str, str] = {}
    shared, own = _pools(number)
    position = 0
    for index, shard in enumerate(shards):
        name = f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors" if len(shards) > 1 else "model.safetensors"
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for tensor, size in shard:
            begin, end = end, end + 2 * int(np.prod(size))
            header[tensor] = {"dtype": "BF16", "shape": list(size), "data_offsets": [begin, end]}
            placed[tensor] = name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (target / name).open("wb") as stream:
            stream.write(struct.pack("<Q", len(text)) + text)
            for _, size in shard:
                left = int(np.prod(size))
                while left:
                    count = min(left, POOL)
                    stream.write(_values(shared, own, position, count).tobytes())
                    position += count
                    left -= count
    if len(shards) > 1:
        index_text = json.dumps({"metadata": {}, "weight_map": placed})
        (target / "model.safetensors.index.json").write_text(index_text)
    (target / "config.json").write_text(json.dumps(shape.config()))


def _pools(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shared = np.random.default_rng(0).standard_normal(2 * POOL, np.float32) * np.float32(0.02)
    own = np.random.default_rng(number + 1).standard_normal(2 * POOL + 999, np.float32) * np.float32(0.0004)
    return shared, own


def _values(shared: NDArray[np.float32], own: NDArray[np.float32], position: int, count: int) -> NDArray[np.uint16]:
    first, second = position * 7919 % POOL, position * 104729 % (POOL + 999)
    words = (shared[first : first + count] + own[second : second + count]).view(np.uint32)
    return ((words + np.uint32(0x8000)) >> np.uint32(16)).astype(np.uint16)


def _sharded(shape: Shape) -> list[list[tuple[str, tuple[int, ...]]]]:
    shards: list[list[tuple[str, tuple[int, ...]]]] = [[]]
    filled = 0
    for name, size in shape.tensors():
        nbytes = 2 * int(np.prod(size))
        if filled + nbytes > shape.shard_bytes and shards[-1]:
            shards.append([])
            filled = 0
        shards[-1].append((name, size))
        filled += nbytes
    return shards
