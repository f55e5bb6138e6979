"""Files that must be refused by name, each written here in a few bytes."""

from __future__ import annotations

import json
import math
import pickle
import struct
import time
import zipfile
from pathlib import Path

import pytest
from safetensors import deserialize

from suture.checkpoint.header import read_checkpoint, read_header
from suture.errors import BadInputError

GOOD = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def text(value: object) -> str:
    return json.dumps(value)


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
    "duplicate tensor, another dtype": pack(f'{{"a":{text(entry())},"a":{text(entry("I32"))}}}'.encode()),
    "duplicate field": pack(b'{"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}'),
    "duplicate metadata": pack(f'{{"__metadata__":{{}},"__metadata__":{{}},"a":{text(entry())}}}'.encode()),
    "duplicate metadata key": pack(f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{text(entry())}}}'.encode()),
    "metadata number": pack({"__metadata__": {"k": 1}, **GOOD}),
    "metadata nested": pack({"__metadata__": {"k": {"l": "m"}}, **GOOD}),
    "metadata list": pack({"__metadata__": ["k"], **GOOD}),
    "metadata null": pack({"__metadata__": None, **GOOD}),
    "header over 100 MB": struct.pack("<Q", 100_000_001) + b"{}",
    "UTF-16": pack(json.dumps(GOOD).encode("utf-16")),
    "byte order mark": pack(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()),
    "broken UTF-8": pack(b'{"\xff":' + text(entry()).encode() + b"}"),
    "lone surrogate": pack(b'{"\\ud800":' + text(entry()).encode() + b"}"),
    "lone surrogate in metadata": pack(f'{{"__metadata__":{{"k":"\\ud800"}},"a":{text(entry())}}}'.encode()),
    "space before the header": pack(b" " + json.dumps(GOOD).encode()),
    "NUL after the header": pack(json.dumps(GOOD).encode() + b"\0"),
    "NaN": pack(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}'),
    "unknown field": pack({"a": {**entry(), "more": 1}}),
    "unknown dtype": pack({"a": entry("F7")}),
    "dtype is a list": pack({"a": entry(["F32"])}),
    "dtype is a number": pack({"a": entry(4)}),
    "shape is text": pack({"a": entry(shape="2")}),
    "shape is an object": pack({"a": entry(shape={"2": 2})}),
    "three offsets": pack({"a": entry(offsets=[0, 4, 8])}),
    "offsets backwards": pack({"a": entry(offsets=[8, 0])}),
    "offsets below zero": pack({"a": entry(offsets=[-8, 0])}),
    "offset beyond 2^64": pack({"a": entry(offsets=[2**64, 2**64 + 8])}),
    "minus zero": pack(b'{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}', b""),
    "shape overflow hidden by a zero": pack({"a": entry(shape=[0, 2**62, 4], offsets=[0, 0])}, b""),
    "shape of a million extents": pack({"a": entry(shape=[1] * 1_000_000, offsets=[0, 4])}, bytes(4)),
    "number of 5,000 digits": pack(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}'),
    "empty tensor inside another": pack({"a": entry(), "z": entry(shape=[0], offsets=[4, 4])}),
    "empty tensor beyond the end": pack({"a": entry(), "z": entry(shape=[0], offsets=[9, 9])}),
    "an entry that is a list": pack({"a": ["F32", [2], [0, 8]]}),
    "GGUF": b"GGUF" + bytes(100),
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "terminal codes in a name": pack({"\x1b[2Ja": entry()}),
    "name climbs by backslashes": pack({"..\\a": entry()}),
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
    """Each refusal has its four parts, is short, and cannot move a terminal's cursor."""
    file = tmp_path / "hostile.safetensors"
    file.write_bytes(HOSTILE[name])
    with pytest.raises(BadInputError, match=r"hostile\.safetensors") as caught:
        read_header(file)
    (problem,) = caught.value.problems
    assert problem.must
    assert problem.got
    assert problem.where == str(file)
    assert problem.do
    assert len(str(problem)) < 1000
    assert str(problem).isprintable()


TOLD = {
    "renamed pickle": "a pickle",
    "duplicate tensor": "a repeated key, 'a'",
    "duplicate metadata key": "a repeated key, 'k'",
    "deep JSON": "begin with '{'",
    "hole": "a hole before 'b'",
    "overlap": "an overlap with 'b'",
    "trailing byte": "bytes instead of",
    "unknown dtype": "'a' of 'F7'",
    "GGUF": "a GGUF file",
    "Git LFS pointer": "Git LFS",
}


@pytest.mark.parametrize("name", TOLD)
def test_what_was_found_is_told(name: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.safetensors"
    file.write_bytes(HOSTILE[name])
    with pytest.raises(BadInputError, match=TOLD[name]):
        read_header(file)


def test_deep_json_inside_an_object(tmp_path: Path) -> None:
    file = tmp_path / "deep.safetensors"
    file.write_bytes(pack(b'{"a":' * 100_000))
    with pytest.raises(BadInputError, match="nested too deep"):
        read_header(file)


@pytest.mark.parametrize(
    "inner",
    [b'"__metadata__":{' + b'"":"",' * 2_100_000, b'"a":{"shape":[' + b"1," * 4_100_000],
    ids=["metadata", "shape"],
)
def test_millions_of_small_things_are_refused_unparsed(inner: bytes, tmp_path: Path) -> None:
    file = tmp_path / "many.safetensors"
    file.write_bytes(pack(b"{" + inner))
    start = time.process_time()
    with pytest.raises(BadInputError, match="at most 4000000 colons and commas"):
        read_header(file)
    assert time.process_time() - start < 1


def test_an_empty_tensor_on_a_border_is_fine(tmp_path: Path) -> None:
    """Real files hold them, and the safetensors library reads them: before, between and after others."""
    empty = {f"z{at}": entry(shape=[0, 3], offsets=[at, at]) for at in (0, 8, 16)}
    file = tmp_path / "empty.safetensors"
    file.write_bytes(pack({"b": entry(offsets=[8, 16]), **empty, "a": entry()}, bytes(16)))
    assert [info.name for info in read_header(file)] == ["z0", "a", "z8", "b", "z16"]
    assert len(deserialize(file.read_bytes())) == 5


def test_truncated_at_every_byte(tmp_path: Path) -> None:
    whole = pack({"__metadata__": {"format": "pt"}, "a": entry(), "b": entry("I64", [], [8, 16])}, bytes(16))
    file = tmp_path / "cut.safetensors"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(BadInputError, match=r"cut\.safetensors"):
            read_header(file)


def test_a_header_of_19000_tensors_takes_no_quadratic_step(tmp_path: Path) -> None:
    """Four times the tensors may take no more than about four times as long; 16 would be quadratic."""

    def seconds(count: int) -> float:
        header = {f"model.layers.{i}.w.weight": entry("BF16", [2, 2], [8 * i, 8 * i + 8]) for i in range(count)}
        file = tmp_path / "many.safetensors"
        file.write_bytes(pack(header, bytes(8 * count)))
        best = math.inf
        for _ in range(3):
            start = time.process_time()
            assert len(read_header(file)) == count
            best = min(best, time.process_time() - start)
        return best

    few, many = seconds(19_000), seconds(76_000)
    assert few < 1
    assert many < 12 * few


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
