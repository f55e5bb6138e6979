from __future__ import annotations

from pathlib import Path

from suture.methods.registry import METHODS, PRESETS
from suture.testing.methods_page import page

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"


def test_the_page_is_what_the_declarations_say() -> None:
    assert PAGE.read_text() == page(), "run python -m suture.testing.methods_page docs/methods.md"


def test_every_method_and_preset_has_a_section() -> None:
    text = PAGE.read_text()
    for name in (*METHODS, *PRESETS):
        assert f"\n### {name}\n" in text
