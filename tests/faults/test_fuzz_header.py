"""Fuzzes the header pass: refused with BadInputError, or read exactly as the safetensors library reads it.

CI runs 20,000 inputs of one seed. `make fuzz N=1000000 SEED=7` runs any number of any seed; a failure tells the number
of the input, which `make fuzz N=1 FROM=number SEED=7` repeats.
"""

from __future__ import annotations

import json
import os
import random
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from safetensors import SafetensorError, deserialize

from suture.checkpoint.header import DTYPE_BYTES, TensorInfo, read_header
from suture.errors import BadInputError

INPUTS = int(os.environ.get("SUTURE_FUZZ_INPUTS", "20000"))
SEED = int(os.environ.get("SUTURE_FUZZ_SEED", "0"))
FROM = int(os.environ.get("SUTURE_FUZZ_FROM", "0"))
ODD_NUMBERS = (
    *(-1, 0, 1, 7, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 2**64 + 8, 10**400),
    *(1.0, 0.5, True, None, "8"),
)
ODD_NAMES = ("", "a", "b", "../a", "a\0", "__metadata__", "é", "\u202ea", "x" * 600, "dtype", "a.weight", "\ud800")
ODD_TEXTS = (
    *(b'"a":', b"{", b"}", b"[", b"]", b",", b" ", b"\0", b"\xff", b'"F32"'),
    *(b"\\ud800", b"-0", b"1e1", b"NaN", b"null"),
)


def good_header(draw: random.Random) -> tuple[dict[str, Any], int]:
    """Return a header that holds, and the size of its data."""
    header: dict[str, Any] = {}
    if draw.random() < 0.5:
        header["__metadata__"] = {"format": "pt"}
    end = 0
    for number in range(draw.randrange(5)):
        dtype = draw.choice(list(DTYPE_BYTES))
        shape = [draw.randrange(4) for _ in range(draw.randrange(4))]
        size = DTYPE_BYTES[dtype]
        for extent in shape:
            size *= extent
        header[f"t{number}"] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    if draw.random() < 0.3:
        items = list(header.items())
        draw.shuffle(items)
        header = dict(items)
    return header, end


def spoil(header: dict[str, Any], whole: set[str], draw: random.Random) -> None:
    """Change one thing in the header, which often, not always, makes it wrong; `whole` are the names not yet spoilt."""
    names = [name for name in header if name in whole]
    if not names or draw.random() < 0.15:
        header[draw.choice(ODD_NAMES)] = draw.choice(
            [{}, [], None, 1, {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, {"k": draw.choice(ODD_NUMBERS)}]
        )
        return
    name = draw.choice(names)
    whole.remove(name)
    entry = header[name]
    match draw.randrange(7):
        case 0:
            entry["dtype"] = draw.choice([*DTYPE_BYTES, "F4", "F7", "f32", "", None, 4, ["F32"]])
        case 1:
            entry["shape"] = draw.choice(
                [[], [0], [draw.choice(ODD_NUMBERS)], [2**62, 4], [0, 2**63, 4], None, "2", {}]
            )
        case 2:
            entry["data_offsets"][draw.randrange(2)] = draw.choice(ODD_NUMBERS)
        case 3:
            entry["data_offsets"] = draw.choice([[], [0], [0, 0, 0], [4, 0], None, {"0": 0, "4": 4}])
        case 4:
            entry.pop(draw.choice(list(entry)))
        case 5:
            entry[draw.choice(("more", "dtype ", ""))] = draw.choice(ODD_NUMBERS)
        case 6:
            begin, end = entry["data_offsets"]
            shift = draw.choice((-4, -1, 1, 4))
            entry["data_offsets"] = [begin + shift, end + shift]


def mutate(raw: bytes, draw: random.Random) -> bytes:
    """Change, add, remove or repeat a few bytes."""
    data = bytearray(raw)
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at:at] = draw.choice(ODD_TEXTS)
            case 2:
                del data[at : at + draw.randrange(1, 9)]
            case 3:
                piece = data[at : at + draw.randrange(1, 60)]
                data[at:at] = piece
            case 4:
                del data[at:]
    return bytes(data)


def make_input(number: int) -> bytes:
    """Return input `number` of the seed, a function of both alone."""
    draw = random.Random(f"{SEED}/{number}")
    header, size = good_header(draw)
    whole = {name for name in header if name != "__metadata__"}
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        spoil(header, whole, draw)
    text = json.dumps(header, ensure_ascii=draw.random() < 0.5 or "\ud800" in str(header)).encode("utf-8", "replace")
    if draw.random() < 0.35:
        text = mutate(text, draw)
    text += b" " * draw.choice((0, 0, -len(text) % 8))
    length = (
        len(text) if draw.random() < 0.95 else draw.choice((0, 1, len(text) - 1, len(text) + 1, 2**63, 100_000_001))
    )
    raw = struct.pack("<Q", max(0, length)) + text + draw.randbytes(max(0, size + draw.choice((0,) * 12 + (1, -1))))
    return mutate(raw, draw) if draw.random() < 0.1 else raw


def read_by_library(raw: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]] | None:
    try:
        found = deserialize(raw)
    except SafetensorError:
        return None
    return {name: (info["dtype"], tuple(info["shape"]), bytes(info["data"])) for name, info in found}


def read_by_us(file: Path) -> list[TensorInfo] | BadInputError:
    try:
        return read_header(file)
    except BadInputError as error:
        return error


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A file in memory where the machine has such a place: a disk takes far longer than the header pass."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder) / "fuzz.safetensors"


def test_refused_or_read_as_the_library_reads_it(file: Path) -> None:
    seen: Counter[str] = Counter()
    for number in range(FROM, FROM + INPUTS):
        raw = make_input(number)
        file.write_bytes(raw)
        ours = read_by_us(file)
        if isinstance(ours, BadInputError):
            (problem,) = ours.problems
            assert str(problem).isprintable(), f"input {number} of seed {SEED}"
            seen[problem.must[:30]] += 1
            continue
        seen["read"] += 1
        found = {i.name: (i.dtype, i.shape, raw[i.offset : i.offset + i.nbytes]) for i in ours}
        assert found == read_by_library(raw), f"input {number} of seed {SEED}"
    if INPUTS >= 1000:  # the property is empty unless many are read, and refused for many reasons
        assert seen["read"] > INPUTS // 10
        assert seen.total() - seen["read"] > INPUTS // 4
        assert len(seen) >= 11
