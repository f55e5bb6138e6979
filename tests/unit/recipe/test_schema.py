from __future__ import annotations

from pathlib import Path

import pytest

from suture.errors import UsageError
from suture.recipe import TokenSource, parse_recipe
from suture.recipe.json_schema import recipe_schema
from suture.recipe.references import Reference, split_reference

SLERP = "merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {t: %s}\n"


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_recipe(text, "recipe.yaml")
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_the_base_comes_first_whatever_the_list_says() -> None:
    recipe = parse_recipe("merge_method: slerp\nbase_model: b\nmodels: [{model: a}, {model: b}]\nparameters: {t: 0.25}")
    assert recipe.inputs == ("b", "a")


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
        "Write 'weight: 1'.",
        "recipe.yaml, line 2, models[0].parameters.wieght",
        "'lamda'",
        "Write 'lambda: 1'.",
        "recipe.yaml, line 3, parameters.lamda",
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


def test_models_slices_and_modules_exclude_one_another() -> None:
    assert "exactly one of models, slices and modules, not none" in refused("merge_method: linear\n")
    both = "merge_method: linear\nmodels: [{model: a}]\nslices: [{sources: [{model: a, layer_range: [0, 2]}]}]"
    assert "not models and slices" in refused(both)


SLICES = """
merge_method: linear
parameters: {weight: 1}
slices:
- sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: %s}]
"""


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ("[0, 3]", "as many layers; they have [2, 3]"),
        ("[2, 2]", "first layer must lie before the end"),
        ("[2, 0]", "first layer must lie before the end"),
        ("[-1, 1]", "greater than or equal to 0"),
        ("[0]", "layer_range"),
    ],
)
def test_slices_that_cannot_be(layers: str, said: str) -> None:
    found = refused(SLICES % layers)
    assert said in found
    assert "recipe.yaml, line 5" in found


def test_a_slice_needs_its_base_among_its_sources() -> None:
    found = refused((SLICES % "[1, 3]").replace("linear", "task_arithmetic") + "base_model: c\n")
    assert "slices[0].sources" in found
    assert "Add '- model: c' with its layer_range." in found


def test_a_base_of_a_slice_wins_over_the_recipes() -> None:
    text = (SLICES % "[1, 3]").replace("linear", "slerp").replace("weight: 1", "t: 0.5")
    recipe = parse_recipe(text + "  base_model: b\n")
    assert recipe.sections[0].base_model == "b"
    assert recipe.inputs == ("a", "b")


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("{model: {path: org/m, revision: main}}", "org/m@main"),
        ("{model: {path: m}, lora: {path: l, revision: r}}", "m+l@r"),
        ("{model: m, lora: null}", "m"),
    ],
)
def test_references_as_mappings(written: str, text: str) -> None:
    recipe = parse_recipe(f"merge_method: linear\nmodels: [{{model: {written}, parameters: {{weight: 1}}}}]")
    assert recipe.inputs == (text,)


def test_a_reference_with_unknown_parts() -> None:
    found = refused("merge_method: linear\nmodels: [{model: {model: m, override_architecture: X}}]\n")
    assert "not override_architecture" in found


def test_a_folder_with_a_plus_in_its_name_is_no_adapter(tmp_path: Path) -> None:
    (tmp_path / "a+b").mkdir()
    assert split_reference(str(tmp_path / "a+b")) == Reference(str(tmp_path / "a+b"))
    assert split_reference("a+b@1") == Reference("a", "b@1")


BAD = """
merge_method: dare_linear
base_model: base.nemo
clinical: d
chat_template: chatnl
tokenizer:
  source: e
  tokens: {<x>: {source: f}, <y>: {source: {kind: model_token, model: g, token: z}}}
models:
- {model: a, parameters: {weight: 1, density: 0}}
- {model: b, parameters: {weight: [], density: [0.5, 1.5]}}
- {model: base.nemo, parameters: {density: 1}}
parameters: {normalize: 3, rescale: l2}
"""


def test_gradients_of_length_zero_are_refused_at_their_place() -> None:
    assert "line 11: 'models.1.parameters.weight': a gradient must hold at least one value" in refused(BAD)


def test_all_bad_input_is_named_with_its_place() -> None:
    found = refused(BAD.replace("weight: []", "weight: 1"))
    for said in (
        "line 10, models[0].parameters.density: density must be a float in (0, 1]. Got 0",
        "line 11, models[1].parameters.density: density must be a float in (0, 1]. Got 1.5",
        "line 12, models[2].parameters.density: The base takes no parameters.",
        "line 13, parameters.normalize: normalize must be true or false. Got 3",
        "line 13, parameters.rescale: rescale must be one of",
        "models[2].model: A model must be a folder of safetensors. Got 'base.nemo'. Export it",
        "line 4, clinical: A role must name a model of the recipe. Got d.",
        "line 5, chat_template: chat_template must be auto,",
        "Did you mean 'chatml'?",
        "line 7, tokenizer.source: A token source must be a model of the recipe. Got e.",
        "tokenizer.tokens.<x>.source: A token source must be a model of the recipe. Got f.",
        "tokenizer.tokens.<y>.source: A token source must be a model of the recipe. Got g.",
    ):
        assert said in found, said


def test_a_shared_parameter_under_one_model_is_refused_with_the_line_to_write() -> None:
    found = refused(
        "merge_method: linear\nmodels:\n- {model: a, parameters: {weight: 1, normalize: false}}\n- {model: b}\n"
        "parameters: {weight: 1}\n"
    )
    assert "line 3, models[0].parameters.normalize" in found
    assert "Write 'normalize: false' under the recipe's" in found


def test_the_base_as_token_source_needs_a_base() -> None:
    found = refused("merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\ntokenizer_source: base\n")
    assert "tokenizer_source: The source base needs base_model." in found


def test_information_where_the_method_has_no_use_for_it() -> None:
    text = "merge_method: linear\nmodels: [{model: a, information: f.safetensors, parameters: {weight: 1}}]\n"
    assert "line 2, models[0].information: linear takes no information." in refused(text)


def test_the_vocabulary_that_is_asked_for() -> None:
    recipe = parse_recipe(
        "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]\n"
        "chat_template: chatml\ntokenizer:\n  source: a\n  pad_to_multiple_of: 64\n"
        "  tokens: {<x>: {source: b, force: true}, <y>: {source: {kind: zero}},"
        " <z>: {source: {kind: model_token, model: a, token_id: 3}}}\n"
    )
    request = recipe.tokenizer_request
    assert request.source == "a"
    assert request.pad_to_multiple_of == 64
    assert request.tokens == (
        ("<x>", TokenSource("model", "b", force=True)),
        ("<y>", TokenSource("zero")),
        ("<z>", TokenSource("model", "a", token_id=3)),
    )
    assert request.chat_template is not None
    assert "<|im_start|>" in request.chat_template
    assert parse_recipe(recipe.to_yaml()) == recipe


@pytest.mark.parametrize(
    "row", ["{kind: zero, model: a}", "{kind: model_token, model: a}", "{kind: model_token, token: x}"]
)
def test_token_rows_that_say_too_much_or_too_little(row: str) -> None:
    assert "takes" in refused(
        "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\n"
        f"tokenizer: {{tokens: {{<x>: {{source: {row}}}}}}}\n"
    )


def test_the_schema_for_editors_is_up_to_date() -> None:
    file = Path(__file__).parents[3] / "docs" / "recipe.schema.json"
    assert file.read_text(encoding="utf-8") == recipe_schema(), "run: suture recipe schema > docs/recipe.schema.json"
