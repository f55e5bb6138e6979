"""Reads safetensors headers strictly, before any library opens the file: what cannot be right is refused by name.

A `Checkpoint` is what a folder says about itself without reading a weight: tensors in file order, config, files.
Format: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, then the data without holes).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from suture.errors import BadInputError, Problem

HEADER_LIMIT = 100_000_000
DTYPE_BYTES: Mapping[str, int] = MappingProxyType(
    {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
    | {"F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}
)
INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies: dtype as safetensors names it, offset in bytes from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    nbytes: int

    @property
    def elements(self) -> int:
        """Count of elements (1 for a scalar)."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Checkpoint:
    """A model folder seen through its headers. tensors keeps the order of the files; config is config.json."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    config: Mapping[str, Any]
    files: tuple[Path, ...]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read all headers of the model folder `path`. Raises BadInputError: no folder, pickles, malformed files."""
    if not path.is_dir():
        raise BadInputError(Problem("A model must be a folder.", "no such folder", str(path), "Check the path."))
    files, index = _weight_files(path)
    tensors: dict[str, TensorInfo] = {}
    problems: list[Problem] = []
    for file in files:
        for info in read_header(file):
            if info.name in tensors:
                problems.append(Problem("Each tensor must stand in one shard.", f"'{info.name}' twice", str(file)))
            tensors[info.name] = info
    if index is not None:
        problems += _compare_with_index(path, tensors, index)
    if problems:
        raise BadInputError(*problems)
    return Checkpoint(path, MappingProxyType(tensors), MappingProxyType(_read_config(path)), files)


def read_header(file: Path) -> list[TensorInfo]:
    """Read and check the header of one safetensors file; return its tensors in the order of their data.

    Raises BadInputError for each violation of the format: length, JSON, duplicate keys, dtype, shape, holes, overlaps,
    trailing bytes.
    """

    def bad(must: str, got: str) -> BadInputError:
        return BadInputError(Problem(must, got, str(file), "Fetch or export the file again as safetensors."))

    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(HEADER_LIMIT, size - 8):
            kind = "a pickle or zip archive" if head[:2] in (b"\x80\x02", b"\x80\x04", b"PK") else f"length {length}"
            raise bad("A safetensors file must begin with the length of its header.", f"{kind} in {size} bytes")
        raw = stream.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        got = str(error) if isinstance(error, _DuplicateKeyError) else "unreadable JSON"
        raise bad("The header must be one JSON object with unique keys.", got) from None
    if not isinstance(header, dict):
        raise bad("The header must be one JSON object with unique keys.", type(header).__name__)
    header.pop("__metadata__", None)
    infos = [_tensor_info(file, name, entry, 8 + length, bad) for name, entry in header.items()]
    infos.sort(key=lambda info: (info.offset, info.nbytes))
    end = 8 + length
    for info in infos:
        if info.offset != end:
            raise bad(
                "Tensors must follow one another without hole or overlap.", f"'{info.name}' at {info.offset}, not {end}"
            )
        end += info.nbytes
    if end != size:
        raise bad("The file must end where its last tensor ends.", f"{size} bytes instead of {end}")
    return infos


class _DuplicateKeyError(ValueError):
    """A JSON object repeats a key."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _DuplicateKeyError("a repeated key")
    return result


def _tensor_info(file: Path, name: str, entry: Any, start: int, bad: Any) -> TensorInfo:
    if not name or "\0" in name or ".." in name.split("/") or len(name) > 512:
        raise bad("A tensor's name must be 1 to 512 characters without NUL or '..'.", repr(name[:60]))
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers = [*shape, begin, end]
    except (KeyError, TypeError, ValueError):
        raise bad("A tensor needs dtype, shape and data_offsets.", f"'{name}' without them") from None
    if dtype not in DTYPE_BYTES:
        raise bad(f"The dtype must be one of {', '.join(DTYPE_BYTES)}.", f"'{name}' of {dtype!r}")
    if any(type(number) is not int or number < 0 for number in numbers):
        raise bad("Shapes and offsets must be whole numbers from 0.", f"'{name}': {numbers[:8]}")
    if math.prod(shape) * DTYPE_BYTES[dtype] != end - begin:
        raise bad("A tensor's bytes must fit its shape and dtype.", f"'{name}': {shape} {dtype} in {end - begin} bytes")
    return TensorInfo(name, dtype, shape, file, start + begin, end - begin)


def _weight_files(path: Path) -> tuple[tuple[Path, ...], dict[str, str] | None]:
    """Return the weight files of a folder, and the index where the checkpoint is sharded."""
    index_file, single = path / INDEX_NAME, path / SINGLE_NAME
    if index_file.is_file() and single.is_file():
        raise BadInputError(
            Problem(
                f"A folder must hold {SINGLE_NAME} or {INDEX_NAME}, not both.",
                "both",
                str(path),
                "Remove the stale one.",
            )
        )
    if single.is_file():
        return (_inside(path, single.name),), None
    if index_file.is_file():
        try:
            index = json.loads(index_file.read_text(encoding="utf-8"))["weight_map"]
            names = sorted(set(index.values()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadInputError(
                Problem("The index must hold a weight_map.", "an unreadable one", str(index_file))
            ) from None
        return tuple(_inside(path, name) for name in names), index
    pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
    got = f"pickles ({', '.join(pickles[:3])})" if pickles else "none"
    advice = "Pickles are never opened: convert them where you trust them (save_pretrained with safe_serialization)."
    raise BadInputError(
        Problem(
            "A model folder must hold safetensors weights.", got, str(path), advice if pickles else "Check the path."
        )
    )


def _inside(path: Path, name: str) -> Path:
    """Return the shard `name` of folder `path`; links may lead to the hub cache's own blobs, nowhere else outside."""
    file = path / name
    if not isinstance(name, str) or Path(name).name != name:
        raise BadInputError(Problem("A shard's name must be a plain file name.", repr(name), str(path / INDEX_NAME)))
    if not file.is_file():
        raise BadInputError(Problem("Every shard must exist.", f"no {name}", str(path), "Fetch the missing file."))
    root, real = path.resolve(), file.resolve()
    blobs = root.parent.parent / "blobs" if root.parent.name == "snapshots" else root
    if not (real.is_relative_to(root) or real.is_relative_to(blobs)):
        raise BadInputError(Problem("A shard must lie in its model folder.", f"a link out of it: {name}", str(path)))
    return file


def _compare_with_index(path: Path, tensors: Mapping[str, TensorInfo], index: Mapping[str, str]) -> Iterable[Problem]:
    where = str(path / INDEX_NAME)
    placed = {name: info.file.name for name, info in tensors.items()}
    for name in sorted(placed.keys() | index.keys()):
        if placed.get(name) != index.get(name):
            got = f"'{name}' in {placed.get(name, 'no shard')}, index says {index.get(name, 'nothing')}"
            yield Problem("Index and shards must agree.", got, where)


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInputError(Problem("A model folder must hold config.json.", "none", str(path))) from None
    except (ValueError, RecursionError):
        raise BadInputError(Problem("config.json must be a JSON object.", "unreadable JSON", str(file))) from None
    if not isinstance(config, dict):
        raise BadInputError(Problem("config.json must be a JSON object.", type(config).__name__, str(file)))
    return config
