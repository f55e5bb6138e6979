"""Data sets from the hub: only by name, into the same canonical form, with a plain message where it has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.cli import main
from suture.data.catalog import SOURCES, get_source
from suture.data.hub import fetch
from suture.data.prepare import load
from suture.errors import BadInputError


def test_what_is_fetched_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    cached = tmp_path / "cache"
    cached.mkdir()
    row = {"question": "Q", "options": dict(zip("ABCD", "wxyz", strict=True)), "answer_idx": "C"}
    (cached / "phrases_no_exclude_test.jsonl").write_text(json.dumps(row) + "\n")
    asked: list[Any] = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **settings: (asked.append((name, settings)), str(cached))[1]
    )
    with pytest.raises(SystemExit) as ended:
        main(["data", "prepare", str(tmp_path / "out"), "--online", "medqa"])
    assert not ended.value.code
    assert asked[0][0] == "GBaker/MedQA-USMLE-4-options"
    assert asked[0][1]["repo_type"] == "dataset"
    (item,) = load("medqa", tmp_path / "out").items
    assert getattr(item, "answer", None) == 2


def test_a_failure_of_the_hub_is_a_plain_message(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: Any, **__: Any) -> str:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(BadInputError, match="hub must give"):
        fetch(get_source("gsm8k"))
    with pytest.raises(BadInputError, match="fetched by hand"):
        fetch(get_source("mimic_cxr"))


def test_hub_files_are_those_of_the_source() -> None:
    for source in SOURCES.values():
        if source.hub is not None:
            assert set(source.hub.files) <= set(source.files), source.name
            assert set(source.hub.files) >= set(source.splits[source.test]), source.name
