from __future__ import annotations

from pathlib import Path

import pytest

from suture.study.build import build
from suture.study.cost import REFERENCE, costs, free_disk, parameters_of
from suture.study.graph import Graph, Step
from suture.study.schema import load_study
from suture.study.store import Done
from suture.testing.command import run_command
from suture.testing.tiny import tiny_model

ROOT = Path(__file__).parents[3]


SETTINGS = {"steps": 10, "batch": 2, "length": 100, "lora_rank": None}
ADAPTING = {"task": "mts_section", "settings": SETTINGS}
ASKING = {"tasks": {"mts_section": {"n": 20}}}


def _graph() -> Graph:
    return Graph([
        Step("adapt a", "adapt", ADAPTING, {}, 100), Step("adapt b", "adapt", ADAPTING, {}, 300),
        Step("evaluate a", "evaluate", ASKING, {}, 60), Step("floors", "floors", {}, {}, 0.5),
    ])  # fmt: skip


def test_a_packaged_ancestor_costs_what_the_steps_say() -> None:
    study = load_study(ROOT / "studies" / "smollm2.yaml")
    rows = {row.kind: row for row in costs(study, _graph(), {})}
    assert set(rows) == {"adapt", "evaluate"}  # less than a second is no cost
    assert rows["adapt"].seconds == pytest.approx(0.4 * 400)
    assert rows["adapt"].disk == 2 * 4 * REFERENCE
    assert (rows["evaluate"].seconds, rows["evaluate"].disk, rows["evaluate"].measured) == (60, 0, False)


def test_what_this_study_has_measured_counts_instead() -> None:
    study = load_study(ROOT / "studies" / "smollm2.yaml")
    found = {"adapt a": Done("key", "digest", 50.0, 0)}
    row = next(row for row in costs(study, _graph(), found) if row.kind == "adapt")
    assert (row.steps, row.left, row.seconds, row.measured) == (2, 1, 150.0, True)


def test_the_cost_grows_with_the_model(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "ancestor")
    study = load_study(ROOT / "studies" / "smollm2.yaml", ancestor=str(model))
    parameters = parameters_of(study)
    assert 0 < parameters < 1e6
    graph = Graph([Step("evaluate a", "evaluate", ASKING, {}, 60 * REFERENCE / parameters)])
    assert costs(study, graph, {})[0].seconds == pytest.approx(60)


def test_every_dear_step_of_the_embedded_study_is_counted(tmp_path: Path) -> None:
    study = load_study(ROOT / "studies" / "smollm2.yaml")
    rows = costs(study, build(study).graph, {})
    assert {"train", "evaluate", "adapt", "merge"} <= {row.kind for row in rows}
    assert free_disk(tmp_path / "not" / "there") > 0


def test_an_adapter_alone_is_kept_at_a_hundredth_of_the_disk() -> None:
    study = load_study(ROOT / "studies" / "paper-8b.yaml")
    whole = {**ADAPTING, "settings": {**SETTINGS, "lora_rank": 256, "lora_targets": "attention"}}
    graph = Graph([Step("a", "adapt", whole, {}, 9), Step("b", "adapt", {**whole, "keep": "adapter"}, {}, 9)])
    both = costs(study, graph, {})[0]
    assert both.disk == pytest.approx(4 * study.size * 1.04, rel=0.01)  # type: ignore[operator]


def test_the_study_at_8b_plans_without_models_data_or_an_accelerator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLINICAL_MODEL", "SUTURE_DATA", "CLINICAL_TEXTS"):
        monkeypatch.delenv(name, raising=False)
    path = str(ROOT / "studies" / "paper-8b.yaml")
    assert run_command("study", "plan", path, "--out", tmp_path / "out", "--gpu", "a100") == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    for told in ("A100 80 GB hours", "Missing before it can run", "mimic_bhc must be there", "CLINICAL_MODEL"):
        assert told in printed
