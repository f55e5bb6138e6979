"""Metrics of other packages: found, refused where they are none, and explained where absent."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from suture.errors import UsageError
from suture.evaluate.metrics import plugins


class Constant:
    def signature(self) -> str:
        return "constant 1"

    def scores(self, responses: Sequence[str], references: Sequence[str]) -> list[float]:
        return [50.0] * len(responses)


def _install(monkeypatch: pytest.MonkeyPatch, loaded: Any) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: loaded)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("mine", "x", group)])


def test_an_installed_metric_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, Constant())
    found = plugins.find("mine")
    assert found is not None
    assert found.scores(["a"], ["b"]) == [50.0]
    assert plugins.find("bleurt") is None
    assert plugins.names() == ("alignscore", "bleurt", "medcon", "mine", "radgraph")


def test_an_entry_point_that_is_no_metric_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, object())
    with pytest.raises(UsageError, match=r"signature and scores.*object"):
        plugins.find("mine")


@pytest.mark.parametrize(
    ("name", "what"),
    [("medcon", "UMLS"), ("bleurt", "BLEURT-20"), ("alignscore", "AlignScore"), ("radgraph", "PhysioNet")],
)
def test_an_absent_metric_says_what_it_takes(name: str, what: str) -> None:
    assert what in plugins.absent(name)
    assert plugins.GROUP in plugins.absent(name)
