"""`suture audit`: a list of the log's lines, and the exit code of a broken chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from suture.audit import AuditLog
from suture.cli.app import app
from suture.errors import BadInputError, IntegrityError


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    found = AuditLog(tmp_path / "audit.jsonl")
    found.append("search started", space="ab" * 32, items=12)
    found.open_test("cd" * 32, finalists=("ef" * 32,))
    return found


def test_lines_and_head(log: AuditLog) -> None:
    done = CliRunner().invoke(app, ["audit", str(log.path), "--head", log.head()], catch_exceptions=False)
    assert done.exit_code == 0
    assert "test split opened" in done.output
    assert f"2 lines, unbroken; head {log.head()}" in done.output


def test_a_changed_line_and_a_missing_file(log: AuditLog) -> None:
    log.path.write_bytes(log.path.read_bytes().replace(b'"items":12', b'"items":13'))
    broken = CliRunner().invoke(app, ["audit", str(log.path)]).exception
    assert isinstance(broken, IntegrityError)
    assert "line 2" in str(broken)
    assert isinstance(CliRunner().invoke(app, ["audit", str(log.path) + "x"]).exception, BadInputError)
