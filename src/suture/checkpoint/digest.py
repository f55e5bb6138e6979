"""Weights digest: BLAKE3 over tensors, independent of sharding and of the order in which bytes are seen.

A tensor's bytes are cut into leaves of 4 MiB, each digested alone. The weights digest is the BLAKE3 of one line a
tensor, sorted by name: the JSON list [name, dtype, shape, [leaf digests]] and a newline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from blake3 import blake3

from suture.checkpoint.header import Checkpoint, read_checkpoint
from suture.checkpoint.reader import TensorReader

LEAF_BYTES = 4 << 20
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


class LeafHasher:
    """Digests one tensor's bytes, given in order, leaf by leaf."""

    def __init__(self) -> None:
        self._leaves: list[str] = []
        self._hasher = blake3()
        self._room = LEAF_BYTES

    def update(self, data: memoryview) -> None:
        """Take the next bytes of the tensor."""
        while len(data):
            part = data[: self._room]
            self._hasher.update(part)
            self._room -= len(part)
            data = data[len(part) :]
            if self._room == 0:
                self._close()

    def leaves(self) -> tuple[str, ...]:
        """Return the hex digests of all leaves, the last one shorter; none for an empty tensor."""
        if self._room < LEAF_BYTES:
            self._close()
        return tuple(self._leaves)

    def _close(self) -> None:
        self._leaves.append(self._hasher.hexdigest())
        self._hasher = blake3()
        self._room = LEAF_BYTES


TensorLeaves = tuple[str, Sequence[int], Sequence[str]]


def combine_leaves(tensors: Mapping[str, TensorLeaves]) -> str:
    """Return the weights digest (64 hex digits) of tensors given as name -> (dtype, shape, leaf digests)."""
    hasher = blake3()
    for name in sorted(tensors):
        dtype, shape, leaves = tensors[name]
        hasher.update(json.dumps([name, dtype, list(shape), list(leaves)], separators=(",", ":")).encode() + b"\n")
    return hasher.hexdigest()


def weights_digest(path: Path) -> str:
    """Return the weights digest of the model folder `path`, reading every weight once."""
    return checkpoint_digest(read_checkpoint(path))


def checkpoint_digest(checkpoint: Checkpoint) -> str:
    """Return the weights digest of an opened checkpoint, reading every weight once."""
    tensors: dict[str, TensorLeaves] = {}
    with TensorReader(checkpoint) as reader:
        for info in checkpoint.tensors.values():
            hasher = LeafHasher()
            for block in reader.blocks(info):
                hasher.update(block)
            tensors[info.name] = (info.dtype, info.shape, hasher.leaves())
    return combine_leaves(tensors)


def tokenizer_digest(path: Path) -> str:
    """Return the digest of the tokenizer's files and the chat template in the model folder `path`."""
    return tokenizer_files_digest({n: (path / n).read_bytes() for n in TOKENIZER_FILES if (path / n).is_file()})


def tokenizer_files_digest(files: Mapping[str, bytes]) -> str:
    """Return the same of a folder that will hold `files`, by name."""
    hasher = blake3()
    for name in TOKENIZER_FILES:
        if name in files:
            hasher.update(f"{name}\0{blake3(files[name]).hexdigest()}\n".encode())
    return hasher.hexdigest()
