from __future__ import annotations

import pytest

from suture.errors import UsageError
from suture.recipe import parse_recipe

SLERP = "merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {t: %s}\n"


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_recipe(text, "recipe.yaml")
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_the_base_comes_first_whatever_the_list_says() -> None:
    recipe = parse_recipe("merge_method: slerp\nbase_model: b\nmodels: [{model: a}, {model: b}]\nparameters: {t: 0.25}")
    assert recipe.inputs == ("b", "a")
    assert recipe.arguments() == {"t": 0.25}


def test_a_models_own_parameter_wins_over_the_shared_one() -> None:
    recipe = parse_recipe(
        "merge_method: linear\nmodels: [{model: a, parameters: {weight: 0.2}}, {model: b}]\nparameters: {weight: 0.8}"
    )
    assert recipe.arguments() == {"weight": (0.2, 0.8), "normalize": True}


@pytest.mark.parametrize("t", ["-0.1", "1.5", "wide", ".nan"])
def test_a_coefficient_out_of_range(t: str) -> None:
    assert "t" in refused(SLERP % t)


def test_unknown_method_names_the_nearest() -> None:
    assert "Did you mean 'slerp'?" in refused((SLERP % 0.5).replace("merge_method: slerp", "merge_method: slrp"))


def test_all_problems_of_the_parameters_at_once() -> None:
    found = refused(
        "merge_method: task_arithmetic\nmodels: [{model: a, parameters: {wieght: 1}}, {model: b}]\n"
        "parameters: {lamda: 1}\ngeneral: c\n"
    )
    for said in (
        "'wieght'",
        "Did you mean 'weight'?",
        "'lamda'",
        "Did you mean 'lambda'?",
        "needs base_model",
        "A role must",
    ):
        assert said in found


def test_weights_that_sum_to_zero() -> None:
    assert "0" in refused(
        "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: -1}}]"
    )


def test_models_listed_twice() -> None:
    assert "listed once" in refused("merge_method: linear\nmodels: [{model: a}, {model: a}]\nparameters: {weight: 1}")


def test_a_base_where_the_method_has_none() -> None:
    text = "merge_method: linear\nbase_model: c\nmodels: [{model: a}, {model: b}]\nparameters: {weight: 1}"
    assert "has no base" in refused(text)
    assert parse_recipe(text.replace("base_model: c", "base_model: a")).inputs == ("a", "b")


def test_too_many_models() -> None:
    assert "exactly 2" in refused(SLERP.replace("{model: b}]", "{model: b}, {model: c}]") % 0.5)


def test_a_recipe_survives_its_own_yaml() -> None:
    recipe = parse_recipe(SLERP % 0.5)
    assert parse_recipe(recipe.to_yaml()) == recipe
