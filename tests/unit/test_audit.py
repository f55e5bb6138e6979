"""The audit log: a chain that can be recomputed by hand, tampering named by its line, a test split opened once."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from suture.audit import START, AuditLog
from suture.errors import IntegrityError, ResourceError, UsageError

SPLIT = "ab" * 32


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit.jsonl")


def filled(log: AuditLog, lines: int = 4) -> list[bytes]:
    for number in range(lines):
        log.append("race", candidates=number, space=SPLIT)
    return log.path.read_bytes().splitlines()


def test_the_chain_is_the_digests_of_the_lines(log: AuditLog) -> None:
    first = log.append("search started", space=SPLIT, items=12)
    log.append("race", share=0.5, whole=True, ids=["a", "b"])
    lines = log.path.read_bytes().splitlines()
    assert [json.loads(line)["previous"] for line in lines] == [START, blake3(lines[0]).hexdigest()]
    assert first == blake3(lines[0]).hexdigest()
    entries = log.verify()
    assert [entry.event for entry in entries] == ["search started", "race"]
    assert dict(entries[0].facts) == {"space": SPLIT, "items": 12}
    assert log.head() == blake3(lines[1]).hexdigest()
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_no_file_is_an_empty_log(log: AuditLog) -> None:
    assert log.verify() == ()
    assert log.head() == START


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda x: [x[0], x[1].replace(b'"candidates":1', b'"candidates":7'), *x[2:]], 3),
        (lambda x: [x[0], *x[2:]], 2),
        (lambda x: x[1:], 1),
        (lambda x: [x[0], x[2], x[1], x[3]], 2),
        (lambda x: [x[0], x[0], *x[1:]], 2),
        (lambda x: [*x[:2], b"{}", *x[3:]], 3),
        (lambda x: [*x[:2], b"\xff\xfe", *x[3:]], 3),
    ],
)
def test_the_first_broken_line_is_named(log: AuditLog, change: object, line: int) -> None:
    lines = change(filled(log))  # type: ignore[operator]
    log.path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(IntegrityError, match=f"line {line}:"):
        log.verify()
    before = log.path.read_bytes()
    with pytest.raises(IntegrityError, match=f"line {line}:"):
        log.append("race")
    assert log.path.read_bytes() == before


def test_a_cut_end_shows_by_the_head_kept_elsewhere(log: AuditLog) -> None:
    lines = filled(log)
    head = log.head()
    log.append("race")
    assert len(log.verify(head=head)) == 5
    log.path.write_bytes(b"\n".join(lines[:2]) + b"\n")
    assert len(log.verify()) == 2
    with pytest.raises(IntegrityError, match="cut off"):
        log.verify(head=head)


def test_a_torn_line_is_named(log: AuditLog) -> None:
    lines = filled(log)
    log.path.write_bytes(b"\n".join(lines)[:-5])
    with pytest.raises(IntegrityError, match=r"line 4: .*not finished"):
        log.verify()


def test_a_disk_that_is_full_leaves_the_log_as_it_was(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(log)
    before, write = log.path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    with pytest.raises(ResourceError):
        log.append("race")
    monkeypatch.undo()
    assert log.path.read_bytes() == before
    log.append("race")
    assert len(log.verify()) == 5


@pytest.mark.parametrize(
    "facts", [{"note": "line one\nline two"}, {"note": "x" * 200}, {"what": {"a": 1}}, {"time": 3}, {"ids": [["a"]]}]
)
def test_texts_are_refused_and_not_repeated(log: AuditLog, facts: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        log.append("race", **facts)
    assert "line one" not in str(caught.value)
    assert not log.path.exists()


def test_the_test_split_is_opened_once_without_a_reason(log: AuditLog) -> None:
    assert log.open_test(SPLIT, finalists=("c1", "c2")) == 1
    before = log.path.read_bytes()
    with pytest.raises(UsageError, match="opening 2"):
        log.open_test(SPLIT, finalists=("c1",))
    assert log.path.read_bytes() == before
    with pytest.raises(UsageError, match="1 to 300"):
        log.open_test(SPLIT, finalists=("c1",), reason="  ")
    assert log.open_test("cd" * 32, finalists=("c1",)) == 1
    assert log.open_test(SPLIT, finalists=("c1",), reason="a bug in the\nscorer") == 2
    assert log.verify()[-1].facts["reason"] == "a bug in the scorer"


def test_appending_from_several_threads_keeps_the_chain(log: AuditLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.append("race", number_of=number), range(40)))
    assert sorted(entry.facts["number_of"] for entry in log.verify()) == list(range(40))
