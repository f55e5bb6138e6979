"""Recipes of several documents: stages are planned inside one another, and nothing is written between them."""

from __future__ import annotations

import json

import pytest

from suture.checkpoint.header import TensorInfo
from suture.checkpoint.source import Source, stored_of
from suture.errors import UsageError
from suture.plan import StagedInput, make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model

TWO = """
name: domain
merge_method: linear
seed: 3
models:
- {model: <b>, parameters: {weight: 1}}
- {model: <c>, parameters: {weight: [0, 2]}}
%s
---
merge_method: slerp
base_model: <a>
models: [{model: domain}]
parameters: {t: 0.25}
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("three")
    return {
        f"<{name}>": str(tiny_model(folder / name, seed=seed, chat_template=name == "a"))
        for seed, name in enumerate("abc")
    }


def filled(text: str, models: dict[str, str]) -> str:
    for mark, model in models.items():
        text = text.replace(mark, model)
    return text


def test_a_stage_is_an_input_that_holds_its_job(three: dict[str, str]) -> None:
    plan = make_plan(parse_recipe(filled(TWO % "", three)))
    assert plan.models == (three["<a>"], three["<b>"], three["<c>"], "domain")
    assert len(plan.checkpoints) == 3
    job = next(job for job in plan.jobs if job.name == "model.layers.1.mlp.up_proj.weight")
    assert job.models == (0, 3)
    base, staged = job.inputs
    assert isinstance(base, TensorInfo)
    assert isinstance(staged, StagedInput)
    assert isinstance(staged, Source)
    assert staged.job.method.info.name == "linear"
    assert staged.job.arguments["weight"] == (1.0, 2.0)
    assert staged.job.models == (1, 2)
    assert (staged.rounding, staged.seed, staged.dtype) == ("none", 3, "F32")
    assert {info.file.parent.name for info in stored_of(staged)} == {"b", "c"}
    assert plan.bytes_read == pytest.approx(3 * plan.bytes_written, rel=0.05)
    assert plan.roles is not None
    assert (plan.roles.general, plan.roles.clinical) == (0, 3)
    assert job.roles is not None


def test_a_stage_that_names_its_dtype_is_rounded_to_it(three: dict[str, str]) -> None:
    plan = make_plan(parse_recipe(filled(TWO % "dtype: bfloat16\nrounding: nearest", three)))
    staged = plan.jobs[0].inputs[1]
    assert isinstance(staged, StagedInput)
    assert (staged.rounding, staged.dtype) == ("nearest", "BF16")


def test_the_order_of_the_documents_does_not_matter(three: dict[str, str]) -> None:
    first, second = filled(TWO % "", three).split("---")
    assert parse_recipe(f"{second}---\n{first}") == parse_recipe(f"{first}---\n{second}")


def test_stages_survive_their_own_yaml_and_json(three: dict[str, str]) -> None:
    recipe = parse_recipe(filled(TWO % "", three))
    assert parse_recipe(recipe.to_yaml()) == recipe
    assert parse_recipe(json.dumps(recipe.model_dump(mode="json", exclude_defaults=True))) == recipe


def test_the_digest_follows_the_stages(three: dict[str, str]) -> None:
    text = filled(TWO % "", three)
    same = [make_plan(parse_recipe(text)).digest for _ in range(2)]
    assert same[0] == same[1]
    assert make_plan(parse_recipe(text.replace("[0, 2]", "[0, 3]"))).digest != same[0]


def test_stages_of_stages(three: dict[str, str]) -> None:
    text = TWO % "" + (
        "\n---\nname: again\nmerge_method: linear\nmodels: [{model: domain, parameters: {weight: 1}}, "
        "{model: <a>, parameters: {weight: 1}}]\n"
    )
    recipe = parse_recipe(filled(text.replace("models: [{model: domain}]", "models: [{model: again}]"), three))
    assert [stage.name for stage in recipe.stages] == ["domain", "again"]
    plan = make_plan(recipe)
    outer = plan.jobs[0].inputs[1]
    assert isinstance(outer, StagedInput)
    assert isinstance(outer.job.inputs[0], StagedInput)
    assert plan.models[-2:] == ("domain", "again")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name: domain\n", ""), "All documents but one must have a name. Got 2 of 2 without"),
        (
            ("models: [{model: domain}]", "models: [{model: <b>}]"),
            "Every stage must be used by another. Got 'domain' unused",
        ),
        (("{model: <b>, p", "{model: domain, p"), "in a circle. Got domain needs domain"),
        (("weight: 1}", "wieght: 1}"), "line 6, models[0].parameters.wieght"),
        (("t: 0.25", "t: 2"), "line 13, parameters.t"),
    ],
)
def test_stages_that_cannot_be(three: dict[str, str], change: tuple[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(filled((TWO % "").replace(*change), three), "recipe.yaml")
    assert said in str(caught.value)


def test_problems_of_all_documents_at_once(three: dict[str, str]) -> None:
    text = (TWO % "").replace("weight: 1}", "wieght: 1}").replace("t: 0.25", "t: 2")
    with pytest.raises(UsageError) as caught:
        parse_recipe(filled(text, three))
    assert "wieght" in str(caught.value)
    assert "t must be" in str(caught.value)
