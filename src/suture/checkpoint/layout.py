"""Where every byte of an output goes: slots of tensors, headers of files, units of work, pieces of the journal."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from blake3 import blake3

from suture.checkpoint.header import DTYPE_BYTES, INDEX_NAME, SINGLE_NAME

UNIT_ELEMENTS = 1 << 22
PIECE_BYTES = 64 << 20

Described = tuple[str, str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """Where a tensor of the output goes: shard number, offset in bytes from the start of that file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of one tensor that is worked on as one: `count` elements from element `start` on.

    Units hold UNIT_ELEMENTS elements, the last of a tensor the rest: a whole number of digest leaves for dtypes of 1, 2
    and 4 bytes. A tensor of no elements has one unit of count 0.
    """

    index: int
    name: str
    start: int
    count: int


@dataclass(frozen=True)
class Layout:
    """The output's files: slots by tensor name, and name, header bytes and total size of each file.

    units stand in the order of the files, unit i at position i. pieces are ranges of consecutive units of one file of
    at least PIECE_BYTES together (the last of a file may be shorter): what is synced and journalled as one.
    """

    slots: Mapping[str, TensorSlot]
    files: tuple[tuple[str, bytes, int], ...]
    units: tuple[Unit, ...]
    pieces: tuple[range, ...]

    @property
    def nbytes(self) -> int:
        """Size of all weight files together."""
        return sum(size for _, _, size in self.files)

    @cached_property
    def units_of(self) -> Mapping[str, tuple[Unit, ...]]:
        """The units of each tensor, in order."""
        found: dict[str, list[Unit]] = {}
        for unit in self.units:
            found.setdefault(unit.name, []).append(unit)
        return {name: tuple(units) for name, units in found.items()}

    def shard_of(self, piece: int) -> int:
        """Return the number of the file in which a piece lies."""
        return self.slots[self.units[self.pieces[piece].start].name].shard

    @cached_property
    def digest(self) -> str:
        """BLAKE3 of all headers, units and pieces: equal where every byte has the same place and the same piece."""
        hasher = blake3()
        for name, header, _ in self.files:
            hasher.update(name.encode() + b"\0" + header)
        hasher.update(json.dumps([[u.start, u.count] for u in self.units]).encode())
        hasher.update(json.dumps([[p.start, p.stop] for p in self.pieces]).encode())
        return hasher.hexdigest()

    def index(self) -> bytes | None:
        """Return the index file of several shards as transformers writes it; None where there is one file."""
        if len(self.files) == 1:
            return None
        total = sum(slot.nbytes for slot in self.slots.values())
        placed = {name: self.files[slot.shard][0] for name, slot in sorted(self.slots.items())}
        return (json.dumps({"metadata": {"total_size": total}, "weight_map": placed}, indent=2) + "\n").encode()

    def small_files(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return `files` with the index added where there is one."""
        index = self.index()
        return dict(files) if index is None else {**files, INDEX_NAME: index}


def lay_out(tensors: Sequence[Described], max_shard_bytes: int) -> Layout:
    """Return the layout for tensors given as (name, dtype, shape) in the order in which they are to stand."""
    shards = _shards(tensors, max_shard_bytes)
    slots: dict[str, TensorSlot] = {}
    files: list[tuple[str, bytes, int]] = []
    for number, shard in enumerate(shards):
        # The order is the donor's, so only the header is padded, to 8 bytes, as the format asks.
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        begins: dict[str, int] = {}
        begin = 0
        for name, dtype, shape in shard:
            begins[name] = begin
            begin += _nbytes(dtype, shape)
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begins[name], begin]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        start = 8 + len(text)
        for name, dtype, shape in shard:
            slots[name] = TensorSlot(name, dtype, shape, number, start + begins[name], _nbytes(dtype, shape))
        file = SINGLE_NAME if len(shards) == 1 else f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        files.append((file, struct.pack("<Q", len(text)) + text, start + begin))
    units = _units(shards)
    return Layout(slots, tuple(files), units, _pieces(units, slots))


def _nbytes(dtype: str, shape: tuple[int, ...]) -> int:
    return DTYPE_BYTES[dtype] * math.prod(shape)


def _shards(tensors: Sequence[Described], max_shard_bytes: int) -> list[list[Described]]:
    shards: list[list[Described]] = [[]]
    filled = 0
    for name, dtype, shape in tensors:
        nbytes = _nbytes(dtype, shape)
        if shards[-1] and filled + nbytes > max_shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append((name, dtype, shape))
        filled += nbytes
    return shards


def _units(shards: list[list[Described]]) -> tuple[Unit, ...]:
    units: list[Unit] = []
    for shard in shards:
        for name, _, shape in shard:
            elements = math.prod(shape)
            for start in range(0, max(elements, 1), UNIT_ELEMENTS):
                units.append(Unit(len(units), name, start, min(UNIT_ELEMENTS, elements - start)))
    return tuple(units)


def _pieces(units: tuple[Unit, ...], slots: Mapping[str, TensorSlot]) -> tuple[range, ...]:
    pieces: list[range] = []
    first, nbytes = 0, 0
    for unit in units:
        slot = slots[unit.name]
        if unit.index > first and (nbytes >= PIECE_BYTES or slot.shard != slots[units[first].name].shard):
            pieces.append(range(first, unit.index))
            first, nbytes = unit.index, 0
        nbytes += unit.count * DTYPE_BYTES[slot.dtype]
    return (*pieces, range(first, len(units))) if units else ()
