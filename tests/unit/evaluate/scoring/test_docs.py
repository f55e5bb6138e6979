"""docs/scores.md says of every task, metric and composite what the code says."""

from __future__ import annotations

from pathlib import Path

from suture.evaluate.metrics import plugins
from suture.evaluate.scoring.composites import load_composites
from suture.evaluate.scoring.protocols import INSTRUCTION_METRICS, PROTOCOLS, TEXT_METRICS

PAGE = (Path(__file__).parents[4] / "docs" / "scores.md").read_text(encoding="utf-8")


def test_every_protocol_stands_in_the_page() -> None:
    for protocol in PROTOCOLS.values():
        assert f"### {protocol.task}\n\n{protocol.how}\n\nSource: {protocol.source}.\n" in PAGE
        assert all(f"- {deviation}\n" in PAGE for deviation in protocol.deviations)


def test_every_metric_and_composite_stands_in_the_page() -> None:
    for name in (*TEXT_METRICS, *INSTRUCTION_METRICS):
        assert name in PAGE
    for composite in load_composites().values():
        assert f"| {composite.name} | {composite.formula()} | {composite.source} |" in PAGE
    for name, needs in plugins.KNOWN.items():
        assert f"| {name} | {needs} |" in PAGE
