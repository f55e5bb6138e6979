from __future__ import annotations

import pytest

from suture.checkpoint import layout as module
from suture.checkpoint.layout import PIECE_BYTES, UNIT_ELEMENTS, Layout, Unit, lay_out


def test_a_unit_is_whole_digest_leaves() -> None:
    assert [UNIT_ELEMENTS * width % (4 << 20) for width in (1, 2, 4)] == [0, 0, 0]


def test_units_cut_every_tensor_in_the_order_of_the_files() -> None:
    tensors = [("b", "BF16", (3, UNIT_ELEMENTS)), ("empty", "F32", (0, 4)), ("a", "F32", ()), ("c", "U8", (5,))]
    assert lay_out(tensors, 1 << 40).units == (
        Unit(0, "b", 0, UNIT_ELEMENTS),
        Unit(1, "b", UNIT_ELEMENTS, UNIT_ELEMENTS),
        Unit(2, "b", 2 * UNIT_ELEMENTS, UNIT_ELEMENTS),
        Unit(3, "empty", 0, 0),
        Unit(4, "a", 0, 1),
        Unit(5, "c", 0, 5),
    )


def big() -> Layout:
    """20 units of 8 MiB, then one of 16 MiB that stands in a file of its own, then 3 small ones with it."""
    first = [(f"a{i}", "BF16", (UNIT_ELEMENTS,)) for i in range(20)]
    second = [("b", "F32", (UNIT_ELEMENTS,)), *((f"c{i}", "F32", (3,)) for i in range(3))]
    return lay_out([*first, *second], 20 * 2 * UNIT_ELEMENTS)


def test_pieces_are_consecutive_units_of_one_file_of_64_to_256_megabytes() -> None:
    found = big()
    assert found.pieces == (range(0, 8), range(8, 16), range(16, 20), range(20, 24))
    assert [found.shard_of(i) for i in range(4)] == [0, 0, 0, 1]
    assert PIECE_BYTES + 8 * UNIT_ELEMENTS <= 256 << 20  # the largest piece: a byte short of full, then the widest unit


def test_the_digest_changes_with_whatever_moves_a_byte_or_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(*tensors: tuple[str, str, tuple[int, ...]], limit: int = 1 << 30) -> str:
        return lay_out(tensors, limit).digest

    one, two = ("a", "F32", (4,)), ("b", "F32", (4,))
    found = [
        digest(one, two),
        digest(two, one),
        digest(("a", "F16", (4,)), two),
        digest(("a", "F32", (2, 2)), two),
        digest(one, two, limit=16),
    ]
    monkeypatch.setattr(module, "UNIT_ELEMENTS", 2)
    found.append(digest(one, two))
    monkeypatch.setattr(module, "PIECE_BYTES", 8)
    found.append(digest(one, two))
    assert len(set(found)) == 7
    assert digest(one, two) == found[-1]


def test_the_index_stands_only_beside_several_files() -> None:
    assert lay_out([("a", "F32", (4,))], 1 << 30).small_files({"x": b"y"}) == {"x": b"y"}
    files = lay_out([("a", "F32", (4,)), ("b", "F32", (4,))], 16).small_files({})
    assert b'"total_size": 32' in files["model.safetensors.index.json"]
    assert b'"b": "model-00002-of-00002.safetensors"' in files["model.safetensors.index.json"]
