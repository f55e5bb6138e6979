from __future__ import annotations

import pytest

from suture.errors import UsageError
from suture.methods.registry import METHODS, PRESETS
from suture.recipe import Recipe, parse_recipe


def weights(recipe: Recipe) -> list[object]:
    assert recipe.models is not None
    return [entry.parameters["weight"].written() if entry.parameters else None for entry in recipe.models]


def test_a_graft_is_task_arithmetic_with_half_the_chat_vector() -> None:
    recipe = parse_recipe(
        "merge_method: graft\nbase_model: base\nmodels: [{model: clinical}, {model: base}, {model: instruct}]\n"
    )
    assert recipe.merge_method == "task_arithmetic"
    assert weights(recipe) == [1.0, None, 0.5]
    assert recipe.parameters["lambda"].written() == 1.0
    assert parse_recipe(recipe.to_yaml()) == recipe


def test_what_the_recipe_says_itself_wins() -> None:
    recipe = parse_recipe(
        "merge_method: model_soup\nmodels: [{model: a}, {model: b, parameters: {weight: 3}}, {model: c}]\n"
        "parameters: {normalize: false}\n"
    )
    assert weights(recipe) == [1.0, 3, 1.0]
    assert recipe.parameters["normalize"].written() is False


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_recipe(name: str) -> None:
    preset = PRESETS[name]
    base = "base_model: base\n" if METHODS[preset.method].info.base == "required" else ""
    models = ", ".join(f"{{model: m{number}}}" for number in range(max(len(preset.models), 1)))
    assert parse_recipe(f"merge_method: {name}\n{base}models: [{models}]\n").merge_method == preset.method


def test_a_preset_checks_as_its_method_does() -> None:
    with pytest.raises(UsageError, match="task_arithmetic needs base_model"):
        parse_recipe("merge_method: chat_vector\nmodels: [{model: a}, {model: b}]\n")
