from __future__ import annotations

import pytest

from suture.cli import main
from suture.methods.registry import METHODS, PRESETS


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["methods", *arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_list_names_every_method_and_preset_by_tier(capsys: pytest.CaptureFixture[str]) -> None:
    first_words = [line.split()[0] for line in shown(capsys).splitlines() if line and not line.startswith(" ")]
    assert set(first_words) == {"method", "core", "compat", "contrib", "presets", *METHODS, *PRESETS}
    assert first_words.index("ties") < first_words.index("compat") < first_words.index("sce")


def test_one_method_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "ties")
    for word in ("formula", "arXiv 2306.01708", "density: share kept; a float in (0, 1]", "helps", "fails", "- model:"):
        assert word in out


def test_a_preset_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "chat_vector")
    assert "arXiv 2310.04799" in out
    assert "merge_method: task_arithmetic" in out
