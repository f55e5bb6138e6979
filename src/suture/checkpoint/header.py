"""Reads safetensors headers strictly, before any library opens the file: what cannot be right is refused by name.

A `Checkpoint` is what a folder says about itself without reading a weight: tensors in file order, config, files.
Format: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, then the data without holes). We are
stricter than the library, which takes the last of two equal keys, names of any length, and unknown fields.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from suture.checkpoint.folder import INDEX_NAME, SINGLE_NAME, read_small, weight_files
from suture.checkpoint.strict_json import StrictJsonError, parse_object, shown
from suture.errors import BadInputError, Problem

__all__ = ["DTYPE_BYTES", "INDEX_NAME", "SINGLE_NAME", "Checkpoint", "TensorInfo", "read_checkpoint", "read_header"]

HEADER_LIMIT = 100_000_000
MARK_LIMIT = 4_000_000
"""Colons and commas of the largest header that is parsed: about 400,000 tensors, some hundred MB of Python objects."""
NAME_LIMIT = 512
RANK_LIMIT = 64
ELEMENT_LIMIT = 2**63
SHOWN = 8
DTYPE_BYTES: Mapping[str, int] = MappingProxyType(
    {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
    | {"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I8": 1, "U8": 1, "BOOL": 1}
)
_FIELDS = {"dtype", "shape", "data_offsets"}
_DISGUISES = (
    *((bytes([0x80, protocol]), "a pickle") for protocol in range(2, 6)),
    (b"PK\x03\x04", "a zip archive (of a pickle, as torch.save writes it)"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version ", "a pointer of Git LFS, not the file itself"),
)
_AGAIN = "Fetch or export the file again as safetensors."
Bad = Callable[[str, str], BadInputError]
Stamp = tuple[int, ...]


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
    """A model folder seen through its headers. tensors keeps the order of the files; config is config.json.

    stamps: of each of `files`, what identified it when its header was read; a reader refuses any other.
    """

    path: Path
    tensors: Mapping[str, TensorInfo]
    config: Mapping[str, Any]
    files: tuple[Path, ...]
    stamps: tuple[Stamp, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read all headers of the model folder `path`. Raises BadInputError: no folder, pickles, malformed files."""
    try:
        if path.is_dir():
            return _read_folder(path)
    except OSError as error:  # a folder that may not be entered, a disk that fails
        raise BadInputError(Problem("A model must be readable.", type(error).__name__, str(path))) from None
    raise BadInputError(Problem("A model must be a folder.", "no such folder", str(path), "Check the path."))


def _read_folder(path: Path) -> Checkpoint:
    files, index = weight_files(path)
    tensors: dict[str, TensorInfo] = {}
    problems: list[Problem] = []
    stamps = []
    for file in files:
        try:
            infos, stamp = _read_stamped(file)
        except BadInputError as error:
            problems += error.problems
            continue
        stamps.append(stamp)
        for info in infos:
            if info.name in tensors:
                got = f"'{info.name}' also in {tensors[info.name].file.name}"
                problems.append(Problem("Each tensor must stand in one shard.", got, str(file), _AGAIN))
            tensors[info.name] = info
    if not problems and index is not None:
        problems += _compare_with_index(path, tensors, index)
    if not problems and not tensors:
        problems.append(Problem("A model must hold tensors.", "none", str(path), _AGAIN))
    if problems:
        raise BadInputError(*problems)
    return Checkpoint(path, MappingProxyType(tensors), MappingProxyType(read_config(path)), files, tuple(stamps))


def read_config(path: Path) -> dict[str, Any]:
    """Return config.json of the model folder `path`. Raises BadInputError: none, not one JSON object, repeated keys."""
    file = path / "config.json"
    if not file.exists():
        do = "Fetch config.json; weights alone do not make a model."
        raise BadInputError(Problem("A model folder must hold config.json.", "none", str(path), do))
    try:
        return parse_object(read_small(path, "config.json"), constants=True)
    except StrictJsonError as error:
        must = "config.json must be one JSON object with unique keys."
        raise BadInputError(Problem(must, str(error), str(file), "Fetch or write it again.")) from None


def read_header(file: Path) -> list[TensorInfo]:
    """Read and check the header of one safetensors file; return its tensors in the order of their data.

    Raises BadInputError for each violation of the format: length, JSON, duplicate keys, metadata, names, dtype, shape,
    holes, overlaps, trailing bytes. An empty tensor may lie on the border of two others.
    """
    return _read_stamped(file)[0]


def stamp(status: os.stat_result) -> Stamp:
    """Return what identifies a file's content without reading it: device, inode, size, times of change.

    The time of the last change of the inode is among them, because a program can set back the other one.
    """
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read_stamped(file: Path) -> tuple[list[TensorInfo], Stamp]:
    def bad(must: str, got: str) -> BadInputError:
        return BadInputError(Problem(must, got, str(file), _AGAIN))

    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            head = stream.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= length <= min(HEADER_LIMIT, status.st_size - 8):
                got = _disguise(head) or f"length {length}"
                must = f"A safetensors file must begin with the length of its header (2 to {HEADER_LIMIT})."
                raise bad(must, f"{got} in {status.st_size} bytes")
            raw = stream.read(length)
    except OSError as error:
        raise bad("The file must be readable.", type(error).__name__) from None
    if raw[:1] != b"{":
        raise bad("The header must begin with '{'.", _disguise(head) or "something else")
    if (marks := raw.count(b":") + raw.count(b",")) > MARK_LIMIT:
        raise bad(f"A header must hold at most {MARK_LIMIT} colons and commas.", str(marks))
    try:
        header = parse_object(raw)
    except StrictJsonError as error:
        raise bad("The header must be one JSON object with unique keys.", str(error)) from None
    _check_metadata(header.pop("__metadata__", {}), bad)
    infos = [_tensor_info(file, name, entry, 8 + length, bad) for name, entry in header.items()]
    infos.sort(key=lambda info: (info.offset, info.nbytes))
    _check_contiguous(infos, 8 + length, status.st_size, bad)
    return infos, stamp(status)


def _disguise(head: bytes) -> str | None:
    return next((what for magic, what in _DISGUISES if head.startswith(magic)), None)


def _check_metadata(metadata: Any, bad: Bad) -> None:
    must = "The metadata must map strings to strings."
    if not isinstance(metadata, dict):
        raise bad(must, f"a value of type {type(metadata).__name__}")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise bad(must, f"{shown(key)} of type {type(value).__name__}")


def _tensor_info(file: Path, name: str, entry: Any, start: int, bad: Bad) -> TensorInfo:
    """Check one entry of the header; its numbers are bounded before any arithmetic, which so stays cheap."""
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable() or ".." in name.replace("\\", "/").split("/"):
        raise bad(f"A tensor's name must be 1 to {NAME_LIMIT} printable characters without a '..' part.", shown(name))
    where = f"'{name}'"
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        got = (
            f"{where} with {', '.join(map(shown, list(entry)[:SHOWN])) or 'none'}" if isinstance(entry, dict) else where
        )
        raise bad("A tensor needs dtype, shape and data_offsets, and nothing else.", got)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        got = shown(dtype) if isinstance(dtype, str) else f"a {type(dtype).__name__}"
        raise bad(f"The dtype must be one of {', '.join(DTYPE_BYTES)}.", f"{where} of {got}")
    if not isinstance(shape, list) or len(shape) > RANK_LIMIT or not isinstance(offsets, list) or len(offsets) != 2:
        raise bad(f"A shape must be a list of at most {RANK_LIMIT} extents, data_offsets a pair.", where)
    if not all(type(number) is int and 0 <= number < ELEMENT_LIMIT for number in (*shape, *offsets)):
        raise bad("Shapes and offsets must be whole numbers from 0 to 2^63 - 1.", where)
    if math.prod(extent for extent in shape if extent) * DTYPE_BYTES[dtype] >= ELEMENT_LIMIT:
        raise bad("A tensor must have less than 2^63 bytes.", f"{where} of shape {shape[:SHOWN]}")
    begin, end = offsets
    if math.prod(shape) * DTYPE_BYTES[dtype] != end - begin:
        got = f"{where}: {dtype} of shape {shape[:SHOWN]} in {end - begin} bytes"
        raise bad("A tensor's bytes must fit its shape and dtype.", got)
    return TensorInfo(name, dtype, tuple(shape), file, start + begin, end - begin)


def _check_contiguous(infos: list[TensorInfo], start: int, size: int, bad: Bad) -> None:
    end = start
    for info in infos:
        if info.offset != end:
            kind = "a hole before" if info.offset > end else "an overlap with"
            got = f"{kind} '{info.name}', at byte {info.offset} instead of {end}"
            raise bad("Tensors must follow one another without hole or overlap.", got)
        end += info.nbytes
    if end != size:
        raise bad("The file must end where its last tensor ends.", f"{size} bytes instead of {end}")


def _compare_with_index(path: Path, tensors: Mapping[str, TensorInfo], index: Mapping[str, str]) -> Iterable[Problem]:
    """Yield a problem for each kind of disagreement, naming the first few tensors."""
    found: dict[str, list[str]] = {}
    for name in sorted(tensors.keys() | index.keys()):
        if name not in index:
            found.setdefault("in a shard that the index does not name", []).append(shown(name))
        elif name not in tensors:
            found.setdefault("in the index and in no shard", []).append(shown(name))
        elif tensors[name].file.name != index[name]:
            found.setdefault("in another shard than the index says", []).append(shown(name))
    for kind, names in found.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        got = f"{len(names)} tensors {kind}: {', '.join(names[:SHOWN])}{more}"
        yield Problem("Index and shards must agree.", got, str(path / INDEX_NAME), "Fetch index and shards again.")
