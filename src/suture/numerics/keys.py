"""Keys of all randomness: counter-based, so that no result depends on order, threads or shards.

A draw is `splitmix64(key, index)`: the key names seed, tensor and stream, the index counts elements within the tensor.
Masks take two draws of 32 bits out of each: that of element i is the low half of splitmix64(key, i // 2) where i is
even, the high half where it is odd.
"""

from __future__ import annotations

import json

import numpy as np
from blake3 import blake3

# Splitmix64: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
GAMMA = 0x9E3779B97F4A7C15
MULTIPLIER_1 = 0xBF58476D1CE4E5B9
MULTIPLIER_2 = 0x94D049BB133111EB


def random_key(seed: int, tensor: str, stream: int | str) -> np.uint64:
    """The 64-bit key of one stream of draws: the first 8 bytes of BLAKE3 over the JSON list [seed, tensor, stream].

    `stream` tells the uses of one tensor apart: the position of a model among the non-base inputs, or a word.
    """
    encoding = json.dumps([seed, tensor, stream], separators=(",", ":")).encode()
    return np.uint64(int.from_bytes(blake3(encoding).digest(length=8), "little"))


def model_keys(seed: int, tensor: str, models: int) -> tuple[np.uint64, ...]:
    """The keys of `models` non-base inputs, in their order."""
    return tuple(random_key(seed, tensor, position) for position in range(models))


def keep_threshold(probability: float) -> np.uint64:
    """The bound below which 32 drawn bits lie with the given probability (in [0, 1])."""
    return np.uint64(int(probability * 2.0**32))
