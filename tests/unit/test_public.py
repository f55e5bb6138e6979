"""The five public functions, together, as the README calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

import suture


def test_every_public_name_is_there_and_no_other() -> None:
    for name in suture.__all__:
        assert getattr(suture, name)
    with pytest.raises(AttributeError, match="no attribute 'merge_all'"):
        suture.merge_all  # noqa: B018


def test_plan_merge_evaluate_compare(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    general, _ = tiny_pair
    models = "".join(f"  - {{model: {model}, parameters: {{weight: 0.5}}}}\n" for model in tiny_pair)
    (tmp_path / "recipe.yaml").write_text(f"merge_method: linear\ngeneral: {general}\nmodels:\n{models}")
    plan = suture.make_plan(suture.load_recipe(tmp_path / "recipe.yaml"))
    suture.execute(plan, tmp_path / "merged")
    folders = {"general": general, "merged": tmp_path / "merged"}
    results = {name: suture.evaluate_tasks(path, ["clinic_mcq"], tmp_path, limit=8) for name, path in folders.items()}
    found = suture.compare_results(results, against=["general"])
    row = found.contrast("merged", "general", "clinic_mcq", "accuracy")
    assert row is not None
    assert row.n == 8
    assert row.difference == pytest.approx(row.gained - row.forgotten)
