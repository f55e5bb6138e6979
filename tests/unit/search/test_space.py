"""Spaces: every mistake named with the nearest word and the method's own range; points as recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from suture.errors import BadInputError, UsageError
from suture.recipe import parse_recipe
from suture.search.candidates import (
    describe,
    dimensions,
    grid,
    parent_recipe,
    recipe_of,
    rounds,
    sampler,
    trial_point,
)
from suture.search.space import Goal, Space, Template, Varied, load_space

BASIC: dict[str, Any] = {
    "name": "toy",
    "recipe": {"general": "models/general", "clinical": "models/clinical", "dtype": "float32"},
    "methods": ["linear"],
    "vary": {"coefficient": {"step": 0.05}},
    "objectives": [{"task": "contrast"}, {"task": "clinic_likelihood"}],
}


def space(tmp_path: Path, **changes: Any) -> Space:
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(BASIC | changes))
    return load_space(path)


def recipe(tmp_path: Path, values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found = space(tmp_path, **changes)
    written = recipe_of(found, {"method": found.methods[0], **values})
    parse_recipe(written)
    return dict(yaml.safe_load(written))


def test_the_grid_has_both_ends(tmp_path: Path) -> None:
    points = grid(space(tmp_path))
    assert points is not None
    assert [point["coefficient"] for point in points] == pytest.approx([k / 20 for k in range(21)])
    assert describe(points[5]) == "linear, coefficient 0.25"


def test_a_grid_of_more_points_than_candidates_is_none(tmp_path: Path) -> None:
    assert grid(space(tmp_path, candidates=20)) is None
    assert grid(space(tmp_path, vary={"coefficient": {}})) is None


def test_a_grid_takes_one_round_and_numbers_take_rounds_of_four(tmp_path: Path) -> None:
    assert rounds(space(tmp_path)) == 1
    assert rounds(space(tmp_path, vary={"coefficient": {}}, candidates=10)) == 3
    assert rounds(space(tmp_path, vary={"coefficient": {}}, candidates=10, batches=2)) == 2


def test_numbers_of_one_method_are_proposed_by_a_gaussian_process(tmp_path: Path) -> None:
    assert sampler(space(tmp_path)) == "gp"
    assert sampler(space(tmp_path, sampler="tpe")) == "tpe"
    assert sampler(space(tmp_path, methods=["linear", "slerp"])) == "tpe"
    assert sampler(space(tmp_path, vary={"coefficient": {}, "normalize": {"choices": [True, False]}})) == "tpe"


def test_the_digest_changes_with_what_is_proposed_and_with_nothing_else(tmp_path: Path) -> None:
    one = space(tmp_path)
    assert one.digest == space(tmp_path, batches=1).digest == space(tmp_path, sampler="tpe").digest
    several = space(tmp_path, batches=3)
    assert several.digest == space(tmp_path, batches=3, sampler="gp").digest
    assert len({one.digest, several.digest, space(tmp_path, batches=3, sampler="tpe").digest}) == 3


def test_a_coefficient_is_the_share_of_the_clinical_model(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"coefficient": 0.3})
    assert [entry["parameters"]["weight"] for entry in found["models"]] == [0.7, 0.3]


def test_an_arc_takes_it_as_its_way(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"coefficient": 0.3}, methods=["slerp"])
    assert found["parameters"] == {"t": 0.3}
    assert found["base_model"] == "models/general"


def test_gradients_and_filters(tmp_path: Path) -> None:
    vary = {"coefficient": {"anchors": 2, "filters": ["self_attn"]}}
    names = [d.name for d in dimensions(space(tmp_path, vary=vary))]
    attn, rest = (
        ["coefficient.self_attn[0]", "coefficient.self_attn[1]"],
        ["coefficient.rest[0]", "coefficient.rest[1]"],
    )
    assert names == [*attn, *rest]
    found = recipe(tmp_path, dict(zip(names, [0.1, 0.2, 0.3, 0.4], strict=True)), vary=vary)
    assert found["models"][1]["parameters"]["weight"] == [
        {"filter": "self_attn", "value": [0.1, 0.2]},
        {"value": [0.3, 0.4]},
    ]
    assert found["models"][0]["parameters"]["weight"][0] == {"filter": "self_attn", "value": [0.9, 0.8]}


def test_each_method_takes_what_it_declares(tmp_path: Path) -> None:
    shared = {**BASIC["recipe"], "base_model": "models/base", "parameters": {"normalize": True}}
    found = space(
        tmp_path,
        recipe=shared,
        methods=["linear", "slerp", "ties"],
        vary={"coefficient": {}, "density": {"low": 0.2}},
    )
    points = {method: trial_point(found, method) for method in found.methods}
    assert "density" not in points["linear"]
    assert points["ties"]["density"] == pytest.approx(0.6)
    written = {method: yaml.safe_load(recipe_of(found, point)) for method, point in points.items()}
    assert written["ties"]["base_model"] == "models/base"
    assert "base_model" not in written["linear"]
    assert "normalize" not in written["slerp"]["parameters"]


def test_words_and_truth_values_are_choices_of_the_declaration(tmp_path: Path) -> None:
    found = space(tmp_path, vary={"coefficient": {"step": 0.5}, "normalize": {}}, candidates=6)
    assert len(grid(found) or []) == 6


def test_parents_are_ends_of_the_line(tmp_path: Path) -> None:
    for role, weights in (("general", [1.0, 0.0]), ("clinical", [0.0, 1.0])):
        written = parse_recipe(parent_recipe(space(tmp_path), role))
        listed = written.models or ()
        assert [entry.parameters["weight"].written() for entry in listed] == weights


def test_the_digest_is_of_what_is_said(tmp_path: Path) -> None:
    assert space(tmp_path).digest == space(tmp_path, candidates=21).digest
    assert space(tmp_path).digest != space(tmp_path, candidates=22).digest


TASK = {"task": "contrast"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vary": {"coeficient": {}}}, "Did you mean 'coefficient'"),
        ({"vary": {"densty": {}}, "methods": ["ties"]}, "Did you mean 'density'"),
        ({"vary": {"density": {}}}, "must be one of linear"),
        ({"vary": {"weight": {"low": 0, "high": 1}}}, "Write 'coefficient'"),
        ({"methods": ["linaer"]}, "Did you mean 'linear'"),
        ({"methods": ["linear", "linear"]}, "named once"),
        ({"methods": ["slerp"], "vary": {"coefficient": {"high": 1.5}}}, r"in \[0, 1\]"),
        ({"methods": ["ties"], "vary": {"density": {}}}, r"in \(0, 1\]"),
        ({"methods": ["ties"], "vary": {"lambda": {}}}, "Give low and high"),
        ({"vary": {"coefficient": {"low": 0.5, "high": 0.5}}}, "low must be below high"),
        ({"vary": {"coefficient": {"step": 2}}}, "step must fit"),
        ({"vary": {"normalize": {"low": 0, "high": 1}}}, "a range"),
        ({"vary": {"normalize": {"choices": ["x"]}}}, "true or false"),
        ({"vary": {"coefficient": {"low": 0, "choices": [1]}}}, "either choices or a range"),
        ({"vary": {}}, "Something must vary"),
        ({"recipe": {**BASIC["recipe"], "parameters": {"nomalize": True}}}, "Did you mean 'normalize'"),
        ({"recipe": {**BASIC["recipe"], "clinical": "models/general"}}, "two models"),
        ({"methods": ["ties"]}, "base"),
        ({"objectives": [{"task": "contrst"}]}, "Did you mean 'contrast'"),
        ({"objectives": [{"task": "drift"}]}, "judges no candidate alone"),
        ({"objectives": [{"task": "contrast", "new_tokens": 4}]}, "new_tokens is for tasks that write"),
        (
            {"objectives": [{"task": "ifeval", "new_tokens": 4}, {"task": "ifeval", "metric": "inst_level_loose"}]},
            "the same new_tokens",
        ),
        ({"objectives": [{"task": "contrast", "metric": "contrst"}]}, "Did you mean 'contrast'"),
        ({"objectives": [TASK, dict(TASK)]}, "named once"),
        ({"objectivs": []}, "Did you mean 'objectives'"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        space(tmp_path, **changes)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError):
        load_space(tmp_path / "none.yaml")


def test_the_space_of_the_documentation_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    path = tmp_path / "space.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0])
    points = grid(load_space(path))
    assert points is not None
    assert len(points) == 21 + 21 * 5


def test_the_documentation_names_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    for model in (Space, Template, Varied, Goal):
        assert not [key for key in model.model_fields if key not in page]
