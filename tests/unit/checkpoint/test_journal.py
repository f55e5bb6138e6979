from __future__ import annotations

import math
from pathlib import Path

import pytest

from suture.checkpoint import journal as module
from suture.checkpoint.journal import FoundJournal, Journal, JournalHeader, read_journal

HEADER = JournalHeader("key", "0.1", "layout", 12, {"recipe": "r"})


def write(file: Path, *pieces: int, sync: bool = True) -> None:
    journal = Journal.create(file, HEADER, sync=sync)
    for piece in pieces:
        journal.append([(piece, {piece * 10: {"sum": 0.1 * piece}, piece * 10 + 1: {}})])
    journal.close()


def read(file: Path) -> FoundJournal:
    found = read_journal(file)
    assert found is not None
    return found


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "j", 0, 3)
    found = read(tmp_path / "j")
    assert found.header == HEADER
    assert found.pieces == {0: {0: {"sum": 0.0}, 1: {}}, 3: {30: {"sum": 0.1 * 3}, 31: {}}}
    assert found.end == (tmp_path / "j").stat().st_size


def test_floats_come_back_bit_for_bit(tmp_path: Path) -> None:
    numbers = [0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 2**53 + 2.0]
    journal = Journal.create(tmp_path / "j", HEADER, sync=False)
    journal.append([(0, {0: {"x": numbers, "nan": math.nan}})])
    journal.close()
    record = read(tmp_path / "j").pieces[0][0]
    assert [x.hex() for x in record["x"]] == [x.hex() for x in numbers]
    assert math.isnan(record["nan"])


def test_a_torn_line_at_any_byte_is_cut_off_and_the_journal_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "whole", 0, 1)
    content = (tmp_path / "whole").read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    file = tmp_path / "torn"
    for size in range(len(content)):
        file.write_bytes(content[:size])
        found = read_journal(file)
        lines = sum(end <= size for end in ends)
        if lines == 0:
            assert found is None
            continue
        assert found is not None
        assert (list(found.pieces), found.end) == (list(range(lines - 1)), ends[lines - 1])
    journal = Journal.resume(file, ends[1], sync=True)
    journal.append([(7, {70: {}})])
    journal.close()
    assert list(read(file).pieces) == [0, 7]


@pytest.mark.parametrize("byte", [0, 20, -2])
def test_a_line_of_zeros_or_a_flipped_byte_is_not_believed(tmp_path: Path, byte: int) -> None:
    write(tmp_path / "j", 0, 1)
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    flipped = bytearray(lines[2])
    flipped[byte] ^= 1
    for last in (bytes(flipped), b"\0" * len(lines[2])):
        (tmp_path / "j").write_bytes(lines[0] + lines[1] + last)
        assert list(read(tmp_path / "j").pieces) == [0]


def test_no_journal_is_none(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "j") is None


def test_unsynced_pieces_count_only_until_the_machine_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "unsynced", 0, sync=False)
    write(tmp_path / "synced", 0)
    assert list(read(tmp_path / "unsynced").pieces) == [0]
    monkeypatch.setattr(module, "boot_id", lambda: "another start")
    assert list(read(tmp_path / "unsynced").pieces) == []
    assert list(read(tmp_path / "synced").pieces) == [0]


def test_unsynced_pieces_do_not_count_where_the_start_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "boot_id", lambda: module.UNKNOWN)
    write(tmp_path / "j", 0, sync=False)
    assert list(read(tmp_path / "j").pieces) == []
