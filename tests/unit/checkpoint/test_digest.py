from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

from suture.checkpoint import digest
from suture.checkpoint.digest import LeafHasher, combine_leaves, weights_digest

SMALL_LEAF = 16


def write_file(path: Path, tensors: dict[str, np.ndarray]) -> None:
    header, data = {}, b""
    for name, array in tensors.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_digest_follows_its_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "LEAF_BYTES", SMALL_LEAF)
    (tmp_path / "config.json").write_text("{}")
    array = np.arange(6, dtype=np.float32)
    write_file(tmp_path / "model.safetensors", {"b": array, "a": array[:2]})
    raw = array.tobytes()
    leaves = [blake3(raw[:16]).hexdigest(), blake3(raw[16:]).hexdigest()]
    lines = json.dumps(["a", "F32", [2], [blake3(raw[:8]).hexdigest()]], separators=(",", ":")) + "\n"
    lines += json.dumps(["b", "F32", [6], leaves], separators=(",", ":")) + "\n"
    assert weights_digest(tmp_path) == blake3(lines.encode()).hexdigest()


@pytest.mark.parametrize("cut", [1, 5, 16, 17, 40])
def test_leaves_do_not_depend_on_how_bytes_arrive(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "LEAF_BYTES", SMALL_LEAF)
    raw = bytes(range(40))
    whole, parts = LeafHasher(), LeafHasher()
    whole.update(memoryview(raw))
    for start in range(0, 40, cut):
        parts.update(memoryview(raw[start : start + cut]))
    assert whole.leaves() == parts.leaves()
    assert len(whole.leaves()) == 3


def test_digest_is_independent_of_sharding_and_sensitive_to_the_rest() -> None:
    tensors = {"a": ("F32", (2,), ("11",)), "b": ("F32", (1, 2), ("22",))}
    assert combine_leaves(tensors) == combine_leaves(dict(reversed(tensors.items())))
    for changed in (("F16", (2,), ("11",)), ("F32", (2, 1), ("11",)), ("F32", (2,), ("12",))):
        assert combine_leaves({**tensors, "a": changed}) != combine_leaves(tensors)
