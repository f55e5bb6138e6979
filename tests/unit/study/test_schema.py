from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from suture.errors import BadInputError, UsageError
from suture.study.schema import Study, load_study
from suture.study.sections import Merge

ROOT = Path(__file__).parents[3]
TRAINING = {"steps": 2, "batch": 2, "length": 64, "learning_rate": 0.001}
SMALL: dict[str, Any] = {
    "name": "small",
    "title": "A small study",
    "ancestor": {"model": "somewhere"},
    "data": {"clinic": {"train": 8, "test": 8}, "instructions": {"train": 8}},
    "parents": {
        "general": {"learn": "instructions", "settings": TRAINING},
        "clinical": {"learn": "notes", "settings": TRAINING},
    },
    "merges": [{"method": "linear", "at": 0.5}],
    "evaluation": {"tasks": {"contrast": {}, "clinic_likelihood": {"n": 4}}},
    "gate": {"notes": ["clinic_likelihood", "log_likelihood"]},
    "margins": [],
}


def _load(folder: Path, changes: dict[str, Any], **options: Any) -> Study:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps({**SMALL, **changes})), sort_keys=False))
    return load_study(path, **options)


@pytest.mark.parametrize("name", ["smollm2", "smollm2-mts", "mts-curves", "paper-8b", "smollm2-full"])
@pytest.mark.parametrize("full", [False, True])
def test_the_ready_studies_load(name: str, full: bool) -> None:
    study = load_study(ROOT / "studies" / f"{name}.yaml", full=full)
    assert study.name == name + ("-full" if full and study.full else "")
    assert all(margin.reason for margin in study.margins)


def test_a_missing_file_is_a_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError):
        load_study(tmp_path / "none.yaml")


def test_all_problems_are_told_at_once_with_their_lines_and_the_nearest_key(tmp_path: Path) -> None:
    changes = {"titel": "x", "merges": [{"method": "liner", "at": 0.5}], "evaluation": {"tasks": {"contrst": {}}}}
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, changes)
    text = str(caught.value)
    assert "'titel' is not a known key. Got 'titel'. Did you mean 'title'?" in text
    assert 'Did you mean "linear"?' in text
    assert "Did you mean 'contrast'?" in text
    assert all("study.yaml, line " in problem.where for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"merges": [{"method": "slerp", "at": 1.5}]}, "t must be a float in [0, 1]. Got 1.5"),
        ({"merges": [{"method": "linear"}]}, "give either at or weights"),
        ({"merges": [{"method": "linear", "at": 0.5}, {"method": "linear", "at": 0.5}]}, "two merges are called"),
        ({"ancestor": {"package": "p"}}, "give either package, file and sha256, or model"),
        ({"data": {"clinic": {"train": 8, "test": 8}}}, "task contrast needs data.instructions"),
        ({"gate": {"notes": ["mts_likelihood", "log_likelihood"]}}, "gate.notes needs the task 'mts_likelihood'"),
        ({"parents": {"clinical": {"learn": "notes"}}}, "learn and settings belong together"),
        (
            {"parents": {"clinical": {"learn": "notes", "settings": {**TRAINING, "steps": 0}}}},
            "steps must be an integer >= 1",
        ),
        (
            {"adapt": {"task": "clinic_summary", "starts": ["linear 0.4"], "shots": 4, "settings": TRAINING}},
            "Did you mean 'linear 0.5'?",
        ),
        (
            {"margins": [{"axis": "medical", "task": "contrast", "metric": "contrst", "value": 1, "reason": "r",
                          "planning_sd": 1, "planning_source": "s"}]},
            "Did you mean 'contrast'?",
        ),
        ({"full": {"evaluation": {"tasks": {"contrast": {"n": 0}}}}}, "full protocol"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, changes)
    assert message in str(caught.value)


def test_the_full_protocol_is_laid_over_and_renames(tmp_path: Path) -> None:
    changes = {"full": {"evaluation": {"tasks": {"clinic_likelihood": {"n": 9}}}}}
    plain, full = _load(tmp_path, changes), _load(tmp_path, changes, full=True)
    assert (plain.name, plain.evaluation.tasks["clinic_likelihood"].n) == ("small", 4)
    assert (full.name, full.evaluation.tasks["clinic_likelihood"].n) == ("small-full", 9)
    assert full.data == plain.data


@pytest.mark.parametrize(
    ("said", "tasks"),
    [(True, ("contrast", "clinic_likelihood")), (False, ()), (["contrast"], ("contrast",))],
)
def test_a_replicate_names_its_tasks_or_is_of_all(tmp_path: Path, said: Any, tasks: tuple[str, ...]) -> None:
    evaluation = {"replicate": said, "tasks": {"contrast": {}, "clinic_likelihood": {"n": 4}}}
    assert _load(tmp_path, {"evaluation": evaluation}).evaluation.replicate == tasks


def test_a_replicate_of_no_task_evaluated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'contrst' must be one of the tasks evaluated.*contrast"):
        _load(tmp_path, {"evaluation": {"replicate": ["contrst"], "tasks": {"contrast": {}}}})


def test_another_ancestor_renames_the_study(tmp_path: Path) -> None:
    study = _load(tmp_path, {"ancestor": {"package": "p", "file": "f", "sha256": "0" * 64}}, ancestor="org/Other")
    assert study.name == "small-on-other"
    assert study.title.endswith("(ancestor: Other)")
    assert study.ancestor is not None
    assert (study.ancestor.model, study.ancestor.package) == ("org/Other", None)


def test_data_is_only_for_studies_that_read_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data is for a study"):
        _load(tmp_path, {}, data="folder")


def test_a_study_survives_its_own_yaml(tmp_path: Path) -> None:
    study = load_study(ROOT / "studies" / "smollm2.yaml")
    path = tmp_path / "again.yaml"
    path.write_text(study.to_yaml())
    assert load_study(path) == study


MODELS = {"general": "G", "clinical": "C", "ancestor": "A"}


def test_a_path_method_goes_from_general_to_clinical() -> None:
    linear = Merge(method="linear", at=0.25).recipe(MODELS)
    assert linear.models is not None
    weights = [(entry.model, entry.parameters["weight"].written()) for entry in linear.models]
    assert weights == [("G", 0.75), ("C", 0.25)]
    slerp = Merge(method="slerp", at=0.25).recipe(MODELS, dtype="bfloat16")
    assert (slerp.inputs, slerp.parameters["t"].written(), slerp.dtype) == (("G", "C"), 0.25, "bfloat16")


def test_task_vectors_start_at_the_ancestor() -> None:
    merge = Merge(method="task_arithmetic", weights=(1.0, 1.0))
    assert merge.recipe(MODELS).inputs == ("A", "G", "C")
    assert (merge.label, merge.needs_ancestor) == ("task arithmetic", True)
    assert Merge(method="linear", at=0.5).needs_ancestor is False


GRID = {
    "task": "clinic_summary", "starts": ["general", "linear 0.5"],
    "shots": [2, 4], "seed": [0, 1], "settings": TRAINING,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"adapt": GRID | {"shots": [2, 2]}}, "must not repeat"),
        ({"adapt": GRID | {"seed": []}}, "at least 1"),
        ({"adapt": GRID | {"steps": {3: 5}}}, "one of the shots"),
        ({"adapt": GRID | {"keep": "adapter"}}, "keep: adapter needs settings.lora_rank"),
        ({"adapt": GRID | {"replay": 9}}, "needs as many of data.instructions.train"),
        ({"adapt": [GRID, GRID]}, "give one adaptation a name"),
        ({"adapt": GRID | {"task": "contrast"}}, "must have answers to learn"),
        ({"adapt": GRID | {"task": "mts_dialog"}}, "adapt needs data.folder"),
        ({"controls": {"general": {"learn": "notes", "settings": TRAINING}}}, "two models are called 'general'"),
        ({"evaluation": {"tasks": {"medqa": {}, "contrast": {}, "clinic_likelihood": {}}}}, "needs data.folder"),
        ({"tasks": [{"name": "letters", "data": "d", "input": "i", "target": "t", "prompt": "none"}]}, "{{input}}"),
        ({"adapt": GRID, "orders": {"shots": 3}}, "orders.shots"),
        ({"orders": {"shots": 2}}, "orders.shots"),
        ({"adapt": GRID, "orders": {"shots": 2}}, "orders need clinical"),
        ({"adapt": GRID, "orders": {"shots": 2, "at": 0.25, "arms": ["graft"]}}, "orders graft on linear 0.25"),
    ],
)
def test_a_grid_and_its_orders_must_fit(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, changes)
    assert told in str(caught.value)


def test_a_grid_names_every_model_and_keeps_the_keys_of_a_single_one(tmp_path: Path) -> None:
    from suture.study.build import build
    from suture.testing.tiny import tiny_model

    ancestor = {"ancestor": {"model": str(tiny_model(tmp_path / "ancestor"))}}
    single = build(_load(tmp_path, ancestor | {"adapt": GRID | {"shots": 2, "seed": 0}}))
    margin = {
        "axis": "clinical", "task": "clinic_likelihood", "metric": "log_likelihood", "value": 1.0, "reason": "none",
        "planning_sd": 1.0, "planning_source": "none",
    }  # fmt: skip
    grid = build(_load(tmp_path, ancestor | {"adapt": GRID | {"steps": {4: 9}}, "margins": [margin]}))
    labels = [entry.label for entry in grid.entries if entry.role == "adapted"]
    assert labels[:4] == [f"general, {shots} shots, seed {seed}" for shots in (2, 4) for seed in (0, 1)]
    same = grid.graph["adapt general, 2 shots, seed 0"]
    assert same.parameters == single.graph["adapt general, 2 shots"].parameters
    assert set(same.parameters) == {"task", "shots", "seed", "settings"}
    other = grid.graph["adapt general, 4 shots, seed 1"].parameters
    assert (other["settings"]["steps"], other["settings"]["seed"], other["seed"]) == (9, 1, 1)
    assert "curves" in grid.graph.steps
    assert "curves" not in single.graph.steps


def test_examples_in_context_are_of_a_task_that_is_asked_and_for_models_of_the_study(tmp_path: Path) -> None:
    evaluation = {"tasks": {"contrast": {}, "clinic_likelihood": {"n": 4}, "clinic_summary": {"n": 4}}}
    entry = {"task": "clinic_summary", "starts": ["general"], "shots": 2}
    study = _load(tmp_path, {"evaluation": evaluation, "in_context": entry})
    assert study.in_context[0].shots == (2,)
    assert study.learnt == ("clinic_summary",)
    with pytest.raises(UsageError, match=r"'clinic_summary' must be one of evaluation.tasks"):
        _load(tmp_path, {"in_context": entry})
    with pytest.raises(UsageError, match=r"in_context\.starts must name a parent, a control or a merge, got 'genral'"):
        _load(tmp_path, {"evaluation": evaluation, "in_context": entry | {"starts": ["genral"]}})
    with pytest.raises(UsageError, match="shots must not repeat a value"):
        _load(tmp_path, {"evaluation": evaluation, "in_context": entry | {"shots": [2, 2]}})
    with pytest.raises(UsageError, match="two models are called 'general, 2 in context'"):
        _load(tmp_path, {"evaluation": evaluation, "in_context": [entry, entry]})
