"""Precedence: source > slice > module > top > default; filters of per-model parameters see the model's own tensor."""

from __future__ import annotations

from typing import Any

from suture.methods.registry import METHODS, REQUIRED
from suture.recipe import Recipe, parse_recipe
from suture.recipe.order import order_of


def arguments(recipe: Recipe, output: str, inputs: tuple[str, ...], t: float = 0.0, section: int = 0) -> dict[str, Any]:
    info = METHODS[recipe.merge_method].info
    part = recipe.sections[section]
    return dict(order_of(info, part).lookup(info, part).at(output, inputs, t))


LEVELS = """
merge_method: linear
parameters:
  weight: [{filter: down, value: 6}, {value: 5}]
  normalize: false
slices:
- parameters: {weight: [{filter: up, value: 4}]}
  sources:
  - {model: a, layer_range: [0, 2], parameters: {weight: [{filter: q_proj, value: [1, 2]}]}}
  - {model: b, layer_range: [0, 2], parameters: {weight: "3e-1"}}
- sources:
  - {model: a, layer_range: [0, 2], parameters: {weight: 7}}
  - {model: b, layer_range: [0, 2]}
"""


def test_the_nearest_level_that_speaks_of_the_tensor_wins() -> None:
    recipe = parse_recipe(LEVELS)
    for name, first in (("q_proj", 1.5), ("up", 4.0), ("down", 6.0), ("gate", 5.0)):
        found = arguments(recipe, name, (name, name), t=0.5)
        assert found == {"weight": (first, 0.3), "normalize": False}, name
    assert arguments(recipe, "up", ("up", "up"), section=1) == {"weight": (7.0, 5.0), "normalize": False}


def test_filters_of_a_models_parameter_see_its_own_tensor() -> None:
    recipe = parse_recipe(LEVELS)
    assert arguments(recipe, "up", ("q_proj", "up"))["weight"] == (1.0, 0.3)
    assert arguments(recipe, "q_proj", ("gate", "gate"))["weight"] == (5.0, 0.3)


def test_filters_of_a_shared_parameter_see_the_output() -> None:
    recipe = parse_recipe(
        "merge_method: slerp\nbase_model: a\nmodels: [{model: b}]\n"
        "parameters: {t: [{filter: layers.1., value: 0.25}, {value: 0.75}]}\n"
    )
    assert arguments(recipe, "layers.1.q", ("layers.7.q",)) == {"t": 0.25}
    assert arguments(recipe, "layers.7.q", ("layers.1.q",)) == {"t": 0.75}


def test_defaults_and_what_is_missing() -> None:
    recipe = parse_recipe(
        "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}, {model: b, parameters: "
        "{weight: [{filter: up, value: 2}]}}]\n"
    )
    assert arguments(recipe, "up", ("up", "up")) == {"weight": (1.0, 2.0), "normalize": True}
    assert arguments(recipe, "down", ("down", "down"))["weight"] == (1.0, REQUIRED)


def test_a_module_stands_between_slice_and_recipe() -> None:
    recipe = parse_recipe(
        "merge_method: linear\nparameters: {weight: 1, normalize: true}\nmodules:\n"
        "  encoder: {models: [{model: a}, {model: b}], parameters: {weight: 2}}\n"
        "  decoder: {models: [{model: a}, {model: b, parameters: {weight: 3}}], parameters: {normalize: false}}\n"
    )
    assert arguments(recipe, "x", ("x", "x"), section=0) == {"weight": (2.0, 2.0), "normalize": True}
    assert arguments(recipe, "x", ("x", "x"), section=1) == {"weight": (1.0, 3.0), "normalize": False}


def test_equal_arguments_are_one_object() -> None:
    recipe = parse_recipe(LEVELS)
    info, part = recipe.method.info, recipe.sections[0]
    lookup = order_of(info, part).lookup(info, part)
    assert lookup.at("gate", ("gate", "gate"), 0.0) is lookup.at("x", ("x", "x"), 1.0)
