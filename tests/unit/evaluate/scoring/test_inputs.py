"""Files of predictions and references: everything wrong is named by line, and no text of an item."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.errors import BadInputError
from suture.evaluate.scoring.inputs import match, name_lines, read_table


def written(path: Path, *rows: object) -> Path:
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows) + b"\n")
    return path


def test_rows_keep_line_and_id_and_a_text_may_hold_other_line_separators(tmp_path: Path) -> None:
    path = written(
        tmp_path / "p.jsonl",
        b"\xef\xbb\xbf" + b'{"id": 7, "prediction": "a\xe2\x80\xa8b"}',
        b"",
        {"id": "x", "prediction": ""},
    )
    table = read_table(path, "id", ("prediction",))
    assert [(row.line, row.id, row.fields["prediction"]) for row in table.rows] == [(1, "7", "a\u2028b"), (3, "x", "")]
    assert table.problems == ()


def test_every_bad_line_is_named_and_none_quoted(tmp_path: Path) -> None:
    path = written(
        tmp_path / "p.jsonl",
        {"id": "a", "prediction": "fine"},
        b'{"id": "b", "prediction": "secret',
        b'{"id": "c", "prediction": "secret \xff"}',
        {"id": "a", "prediction": "secret again"},
        ["secret"],
        {"prediction": "secret"},
        {"id": True, "prediction": "secret"},
        {"id": "d", "prediction": None},
    )
    table = read_table(path, "id", ("prediction",))
    found = [str(problem) for problem in table.problems]
    assert [text.split(": ")[0].rpartition(" ")[2] for text in found] == ["2", "3", "4", "5", "6", "7", "8"]
    for text, what in zip(
        found,
        (
            "invalid JSON",
            "not UTF-8",
            "that of line 1",
            "list",
            "no usable id",
            "no usable id",
            "no text in prediction",
        ),
        strict=True,
    ):
        assert what in text
    assert "secret" not in "".join(found)


def test_problems_of_both_files_come_at_once(tmp_path: Path) -> None:
    references = read_table(written(tmp_path / "r.jsonl", {"id": "a"}), "id", ("reference",))
    predictions = read_table(written(tmp_path / "p.jsonl", b"x"), "id", ("prediction",))
    with pytest.raises(BadInputError, match=r"r\.jsonl, line 1.*\n.*p\.jsonl, line 1"):
        match(references, predictions)


def test_pairs_follow_the_references_and_the_rest_is_told_by_line(tmp_path: Path) -> None:
    references = read_table(
        written(tmp_path / "r.jsonl", *({"id": i, "reference": "t"} for i in "abc")), "id", ("reference",)
    )
    predictions = read_table(
        written(tmp_path / "p.jsonl", *({"id": i, "prediction": "t"} for i in "cxa")), "id", ("prediction",)
    )
    found = match(references, predictions)
    assert [(row.id, other and other.line) for row, other in found.pairs] == [("a", 3), ("b", None), ("c", 1)]
    assert (found.missing, found.extra) == ((2,), (2,))


def test_ids_of_text_and_of_numbers_meet(tmp_path: Path) -> None:
    references = read_table(written(tmp_path / "r.jsonl", {"id": 3, "reference": "t"}), "id", ("reference",))
    predictions = read_table(written(tmp_path / "p.jsonl", {"id": "3", "prediction": "t"}), "id", ("prediction",))
    assert match(references, predictions).missing == ()


def test_files_without_a_common_id_are_refused(tmp_path: Path) -> None:
    references = read_table(written(tmp_path / "r.jsonl", {"id": 3, "reference": "t"}), "id", ("reference",))
    predictions = read_table(written(tmp_path / "p.jsonl", {"id": 4, "prediction": "t"}), "id", ("prediction",))
    with pytest.raises(BadInputError, match="none in common"):
        match(references, predictions)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    assert "none" in str(read_table(path, "id", ("prediction",)).problems[0])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file"):
        read_table(tmp_path / "none.jsonl", "id", ())


def test_many_lines_are_cut_short() -> None:
    assert name_lines([4]) == "line 4"
    assert name_lines(range(1, 24)).endswith("20 and 3 more")
