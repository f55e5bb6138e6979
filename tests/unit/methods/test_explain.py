from __future__ import annotations

import pytest

from suture.methods.explain import example, facts, inputs, parameter_row, preset_example, preset_facts, reference
from suture.methods.registry import METHODS, PRESETS, get_method
from suture.recipe import parse_recipe


@pytest.mark.parametrize("name", list(METHODS))
def test_every_declaration_says_when_it_helps_and_every_example_loads(name: str) -> None:
    info = METHODS[name].info
    assert info.helps.endswith(".")
    assert info.fails.endswith(".")
    assert info.deviations.strip().endswith(".")
    assert set(info.example) <= {parameter.name for parameter in info.parameters}
    recipe = parse_recipe(example(info))
    assert recipe.merge_method == name


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_loads(name: str) -> None:
    recipe = parse_recipe(preset_example(PRESETS[name]))
    assert recipe.merge_method == PRESETS[name].method
    assert name not in METHODS


def test_an_example_recipe() -> None:
    assert example(get_method("ties").info).splitlines() == [
        "merge_method: ties",
        "base_model: models/base",
        "models:",
        "- model: models/clinical",
        "  parameters: {weight: 0.5, density: 0.5}",
        "- model: models/instruct",
        "  parameters: {weight: 0.5, density: 0.5}",
        "parameters: {lambda: 1.0, normalize: true}",
    ]


def test_the_number_of_models_in_words() -> None:
    assert inputs(get_method("slerp").info) == "1 model and base_model"
    assert inputs(get_method("linear").info) == "1 or more models, no base_model"
    assert inputs(get_method("model_stock").info) == "2 or more models and base_model"
    assert inputs(get_method("nuslerp").info) == "2 models, with or without base_model"


def test_papers_in_a_few_words() -> None:
    assert reference("Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708, section 4") == (
        "Yadav et al., arXiv 2306.01708"
    )
    assert reference("Shoemake, Animating rotation, SIGGRAPH 1985, sections") == "Shoemake, 1985"
    assert reference("No paper; somebody, 2001") == "No paper"


def test_facts() -> None:
    words = [word for word, _ in facts(get_method("fisher").info)]
    assert words[:5] == ["", "formula", "paper", "inputs", "needs"]
    assert [word for word, _ in preset_facts(PRESETS["model_soup"])] == ["", "method", "paper", "recipe"]


def test_a_row_of_the_table_of_parameters() -> None:
    density = next(p for p in get_method("ties").info.parameters if p.name == "density")
    assert parameter_row(density) == "| `density` (each model) | share kept | a float in (0, 1] | `1.0` |"
