from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from suture.checkpoint.gguf import check_sha256, find_packaged
from suture.errors import BadInputError, IntegrityError, MissingExtraError


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(MissingExtraError, match=r"requirements/assets\.txt"):
        find_packaged("no_such_package", "*.gguf")


def test_the_pattern_must_name_one_file() -> None:
    assert find_packaged("suture", "py.typed").name == "py.typed"
    with pytest.raises(BadInputError, match="One file"):
        find_packaged("suture", "*.py")


def test_a_file_that_is_not_the_pinned_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    check_sha256(file, hashlib.sha256(b"abc").hexdigest())
    with pytest.raises(IntegrityError, match="SHA-256"):
        check_sha256(file, "0" * 64)
