"""Files that must be refused by name, each written here in a few bytes."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from suture.checkpoint.header import read_checkpoint, read_header
from suture.errors import BadInputError

GOOD = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def pack(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


HOSTILE = {
    "empty file": b"",
    "length zero": struct.pack("<Q", 0),
    "length 2^63": struct.pack("<Q", 2**63) + b"{}",
    "length beyond the file": struct.pack("<Q", 500) + b"{}",
    "renamed pickle": pickle.dumps(list(range(100))),
    "not JSON": pack(b"not json at all"),
    "deep JSON": pack(b"[" * 100_000),
    "a list": pack([]),
    "duplicate tensor": pack(
        b'{"a":' + json.dumps(GOOD["a"]).encode() + b',"a":' + json.dumps(GOOD["a"]).encode() + b"}"
    ),
    "unknown dtype": pack({"a": entry("F7")}),
    "negative shape": pack({"a": entry(shape=[-2])}),
    "fractional shape": pack({"a": entry(shape=[2.0])}),
    "boolean shape": pack({"a": entry(shape=[True, 2])}),
    "shape overflow": pack({"a": entry(shape=[2**62, 2**62])}),
    "bytes do not fit": pack({"a": entry(shape=[3])}),
    "no offsets": pack({"a": {"dtype": "F32", "shape": [2]}}),
    "hole": pack({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20)),
    "overlap": pack({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)),
    "trailing byte": pack(GOOD, bytes(9)),
    "truncated": pack(GOOD, bytes(7)),
    "empty name": pack({"": entry()}),
    "NUL in a name": pack({"a\0": entry()}),
    "name climbs": pack({"../a": entry()}),
    "huge name": pack({"a" * 1_000_000: entry()}),
}


def test_the_good_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "good.safetensors"
    file.write_bytes(pack(GOOD))
    (info,) = read_header(file)
    assert (info.name, info.shape, info.offset, info.nbytes) == ("a", (2,), 8 + len(json.dumps(GOOD)), 8)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.safetensors"
    file.write_bytes(HOSTILE[name])
    with pytest.raises(BadInputError, match=r"hostile\.safetensors"):
        read_header(file)


@pytest.mark.parametrize("length", range(0, 8 + len(json.dumps(GOOD)) + 8, 7))
def test_truncated_anywhere(length: int, tmp_path: Path) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes(pack(GOOD)[:length])
    with pytest.raises(BadInputError):
        read_header(file)


def folder(tmp_path: Path, **files: bytes) -> Path:
    (tmp_path / "config.json").write_text("{}")
    for name, content in files.items():
        (tmp_path / name.replace("__", ".")).write_bytes(content)
    return tmp_path


def index(**placed: str) -> bytes:
    return json.dumps({"weight_map": placed}).encode()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pytorch_model__bin": pickle.dumps({})}, "pickles"),
        ({}, "must hold safetensors"),
        (
            {"model__safetensors": pack(GOOD), "model__safetensors__index__json": index(a="model.safetensors")},
            "not both",
        ),
        ({"model__safetensors__index__json": index(a="../x.safetensors")}, "plain file name"),
        ({"model__safetensors__index__json": index(a="/etc/passwd")}, "plain file name"),
        ({"model__safetensors__index__json": index(a="gone.safetensors")}, "no .gone.safetensors"),
        (
            {
                "s__safetensors": pack(GOOD),
                "model__safetensors__index__json": index(a="s.safetensors", b="s.safetensors"),
            },
            "agree",
        ),
        ({"model__safetensors__index__json": b"[]"}, "a JSON list"),
        ({"model__safetensors__index__json": b"{}"}, "weight_map"),
    ],
)
def test_folders_that_cannot_be_right(files: dict[str, bytes], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=said):
        read_checkpoint(folder(tmp_path, **files))


def test_a_zip_offered_as_weights(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.safetensors", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps({}))
    with pytest.raises(BadInputError, match="a zip archive"):
        read_checkpoint(folder(tmp_path))


def test_link_out_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    outside.write_bytes(pack(GOOD))
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "model.safetensors").symlink_to(outside)
    with pytest.raises(BadInputError, match="link out of it"):
        read_checkpoint(folder(inside))


@pytest.mark.parametrize("blobs", ["models--org--name/blobs", "blobs/ab"])
def test_links_of_the_hub_cache_are_fine(blobs: str, tmp_path: Path) -> None:
    """Files lie in the blobs of their model, or (for the hub's chunked storage) in those of the whole cache."""
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / blobs).mkdir(parents=True)
    (tmp_path / blobs / "f00d").write_bytes(pack(GOOD))
    (snapshot / "model.safetensors").symlink_to(tmp_path / blobs / "f00d")
    assert list(read_checkpoint(folder(snapshot)).tensors) == ["a"]
