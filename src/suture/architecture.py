"""What config and names alone say of a model: layers, what stands before and after them, vocabulary, heads, experts.

No table of architectures: tensors of transformers carry their structure in their names (`model.layers.12.mlp.up_proj`),
and the config counts the same layers. A stack is a run of numbered blocks; the main one is that of the text decoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from suture.errors import IncompatibleError, Problem

LAYER_WORDS = frozenset({"layers", "layer", "h", "blocks", "block"})
COUNT_KEYS = (
    *("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers", "num_encoder_layers"),
    *("encoder_layers", "decoder_layers", "depth"),
)
LAYER_NUMBERS = ("mlp_only_layers", "cross_attention_layers")
TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "decoder")
EMBEDDING = re.compile(r"embed(?!_out)|\bwte\b|\bwpe\b|\bshared\b|rotary_emb|relative_attention_bias")
TOKEN_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|tok_embeddings|word_embeddings|wte|embed_in|shared)(\.weight)?$")
HEAD = re.compile(r"(^|\.)(lm_head|embed_out|output|output_layer|proj_out)(\.weight|\.bias)?$|(^|\.)final_logits_bias$")
EXPERT = re.compile(r"(?:^|\.)experts\.(\d+)\.")
NUMBERED = re.compile(r"^(.*?)\.(\d+)\.")
TEXT_PARTS = ("text", "language", "llm", "decoder")
OTHER_PARTS = ("vision", "visual", "audio", "image", "encoder", "projector", "connector", "speech")


@dataclass(frozen=True, slots=True)
class Stack:
    """Numbered blocks under one prefix: `model.layers`, with `count` of them."""

    prefix: str
    count: int


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a tensor stands: the prefix and the index of its layer, or before or after all layers (stack None)."""

    name: str
    stack: str | None
    layer: int
    rest: str
    side: Literal["before", "within", "after"]

    def at(self, layer: int) -> str:
        """The name of the same tensor in another layer."""
        return f"{self.stack}.{layer}.{self.rest}" if self.stack is not None else self.name


@dataclass(frozen=True)
class Architecture:
    """The structure of one model. main: the stack of the text decoder, None where there is none."""

    config: Mapping[str, Any]
    stacks: Mapping[str, Stack]
    main: Stack | None

    def spot(self, name: str) -> Spot:
        """Where the tensor called `name` stands."""
        found = NUMBERED.match(name)
        if found is not None and found[1] in self.stacks:
            return Spot(name, found[1], int(found[2]), name[found.end() :], "within")
        side: Literal["before", "after"] = "before" if EMBEDDING.search(name) and not HEAD.search(name) else "after"
        return Spot(name, None, 0, "", side)

    def position(self, spot: Spot) -> float:
        """The way from the first layer (0) to the last (1) of its stack; a single layer stands at 1, as in mergekit,
        and what stands outside the layers at 0.
        """
        if spot.stack is None:
            return 0.0
        count = self.stacks[spot.stack].count
        return min(spot.layer / (count - 1), 1.0) if count > 1 else 1.0

    @property
    def vocabulary_size(self) -> int | None:
        """Rows of the token embedding according to the config."""
        return _integer(text_config(self.config), "vocab_size") or _integer(self.config, "vocab_size")

    def vocabulary_axis(self, name: str, shape: tuple[int, ...]) -> int | None:
        """The axis of a tensor that counts tokens, None where there is none."""
        if not (TOKEN_EMBEDDING.search(name) or HEAD.search(name)):
            return None
        if name.endswith("final_logits_bias"):
            return len(shape) - 1
        return 0 if shape else None

    @property
    def tied(self) -> bool:
        """Whether the config says that the head is the token embedding."""
        inner = text_config(self.config)
        return bool(self.config.get("tie_word_embeddings", inner.get("tie_word_embeddings", False)))

    def part_of(self, name: str) -> str:
        """The part of a model of several parts that a tensor belongs to: its first name that says so, else "text"."""
        words = name.split(".")[:4]
        if words[0] in ("encoder", "decoder"):
            return words[0]
        return next((word for word in words if any(part in word for part in OTHER_PARTS)), "text")


def expert_of(name: str) -> int | None:
    """The number of the expert that a tensor belongs to, None where it belongs to none alone."""
    found = EXPERT.search(name)
    return int(found[1]) if found is not None else None


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the text decoder: a part of the whole config, or the whole."""
    for key in TEXT_CONFIGS:
        inner = config.get(key)
        if isinstance(inner, Mapping) and any(count in inner for count in COUNT_KEYS):
            return inner
    return config


def architecture_of(config: Mapping[str, Any], names: Iterable[str]) -> Architecture:
    """Read the structure from a config and the names of all tensors."""
    seen: dict[str, set[int]] = {}
    for name in names:
        found = NUMBERED.match(name)
        if found is not None:
            seen.setdefault(found[1], set()).add(int(found[2]))
    counts = set(_counts(config))
    stacks = {}
    for prefix, layers in seen.items():
        whole = layers == set(range(len(layers)))
        named = prefix.rpartition(".")[2] in LAYER_WORDS
        if whole and (named or (len(layers) > 1 and len(layers) in counts)):
            stacks[prefix] = Stack(prefix, len(layers))
    return Architecture(config, stacks, _main(config, stacks))


def with_layers(
    config: Mapping[str, Any], stack: Stack, picks: Sequence[tuple[Mapping[str, Any], int]]
) -> dict[str, Any]:
    """Return a copy of the config in which `stack` has one layer for each of `picks`: a config that the layer comes
    from, and its number there. Lists with one entry a layer follow. Raises IncompatibleError where the config does not
    count the layers of the stack.
    """
    found = _counted(config, stack)
    if found is None:
        must = f"config.json must count the {stack.count} layers of {stack.prefix}."
        raise IncompatibleError(Problem(must, f"no such number under {', '.join(COUNT_KEYS)}", "config.json"))
    section, key = found
    inner = config[section] if section is not None else config
    changed = {name: _of_layers(section, name, value, stack.count, picks) for name, value in inner.items()}
    changed[key] = len(picks)
    return {**config, section: changed} if section is not None else changed


def _of_layers(
    section: str | None, name: str, value: Any, count: int, picks: Sequence[tuple[Mapping[str, Any], int]]
) -> Any:
    """A value of the config, for the layers picked: lists of layers, and lists with one entry a layer, follow."""
    if not isinstance(value, list):
        return value
    owns = [(source.get(section, {}) if section is not None else source).get(name) for source, _ in picks]
    lists = [own if isinstance(own, list) else value for own in owns]
    layers = [layer for _, layer in picks]
    if name in LAYER_NUMBERS:
        return [new for new, (own, layer) in enumerate(zip(lists, layers, strict=True)) if layer in own]
    if len(value) != count or not ("layer" in name or "block" in name):
        return value
    return [own[layer] if layer < len(own) else value[-1] for own, layer in zip(lists, layers, strict=True)]


def _counted(config: Mapping[str, Any], stack: Stack) -> tuple[str | None, str] | None:
    """Where the config counts the layers of a stack: its part (None: the top) and the key."""
    words = stack.prefix.split(".")
    parts: list[str | None] = [key for key, value in config.items() if isinstance(value, Mapping)]
    parts.sort(key=lambda part: not any(str(part).partition("_")[0] in word for word in words))
    text = next((key for key in TEXT_CONFIGS if config.get(key) is text_config(config)), None)
    for part in (text, None, *parts):
        inner = config[part] if part is not None else config
        keys = sorted(
            COUNT_KEYS, key=lambda key: not any(key.startswith(f"num_{w}_") or key.startswith(w) for w in words)
        )
        key = next((key for key in keys if inner.get(key) == stack.count), None)
        if key is not None:
            return part, key
    return None


def _main(config: Mapping[str, Any], stacks: Mapping[str, Stack]) -> Stack | None:
    """The stack that the text config counts; of several, the one whose name speaks of text, or the first."""
    inner = text_config(config)
    counts = [inner[key] for key in COUNT_KEYS if isinstance(inner.get(key), int)]
    fitting = [stack for stack in stacks.values() if not counts or stack.count in counts] or list(stacks.values())

    def rank(stack: Stack) -> int:
        if any(part in stack.prefix for part in TEXT_PARTS):
            return 0
        return 2 if any(part in stack.prefix for part in OTHER_PARTS) else 1

    return min(fitting, key=rank, default=None)


def _counts(config: Mapping[str, Any]) -> Iterable[int]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _counts(value)
        elif isinstance(value, int) and not isinstance(value, bool) and ("layer" in key or key == "depth"):
            yield value


def _integer(config: Mapping[str, Any], key: str) -> int | None:
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
