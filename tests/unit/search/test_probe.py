"""Kept scores: added in any order, none overwritten."""

from __future__ import annotations

from pathlib import Path

from suture.search.probe import Kept

DIGEST = "ab" * 32


def test_files_are_added_and_never_replaced(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.folder(DIGEST).mkdir()
    for number in range(3):
        kept.add(DIGEST, "contrast", {f"i{number}": {"contrast": float(number)}})
    (kept.folder(DIGEST) / "contrast.0000.json").unlink()
    kept.add(DIGEST, "contrast", {"i0": {"contrast": 0.5}})
    assert kept.read(DIGEST, "contrast") == {
        "i0": {"contrast": 0.5},
        "i1": {"contrast": 1.0},
        "i2": {"contrast": 2.0},
    }
    assert kept.read(DIGEST, "clinic_mcq") == {}
