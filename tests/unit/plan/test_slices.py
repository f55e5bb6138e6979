"""Slices, modules, gradients and filters in a plan: which tensor comes from where, with which parameters."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from suture.checkpoint.header import TensorInfo
from suture.errors import IncompatibleError
from suture.plan import Plan, TensorJob, make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model

Models = Callable[..., tuple[Path, ...]]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Three models of four layers; the first has the chat template."""
    folder = tmp_path_factory.mktemp("four")
    return (
        tiny_model(folder / "a", seed=1, layers=4),
        tiny_model(folder / "b", seed=2, layers=4, chat_template=False),
        tiny_model(folder / "c", seed=3, layers=4, chat_template=False),
    )


def plan_of(text: str, models: Sequence[Path], *, compat: bool = False) -> Plan:
    for letter, model in zip("abc", models, strict=False):
        text = text.replace(f"<{letter}>", str(model))
    return make_plan(parse_recipe(text, "recipe.yaml", compat=compat))


def origins(job: TensorJob) -> list[tuple[str, str]]:
    """Folder and tensor name of each input."""
    return [(given.file.parent.name, given.name) for given in job.inputs if isinstance(given, TensorInfo)]


STACK = """
merge_method: linear
parameters: {weight: 1}
general: <b>
slices:
- sources: [{model: <b>, layer_range: [0, 3]}]
- sources: [{model: <c>, layer_range: [1, 4]}]
"""


def test_layers_are_put_on_top_of_one_another(four: tuple[Path, ...]) -> None:
    plan = plan_of(STACK, four)
    by_name = {job.name: job for job in plan.jobs}
    assert len(by_name) == 6 * 9 + 2
    for layer, (model, source) in enumerate([("b", 0), ("b", 1), ("b", 2), ("c", 1), ("c", 2), ("c", 3)]):
        name = "model.layers.{}.mlp.up_proj.weight"
        assert origins(by_name[name.format(layer)]) == [(model, name.format(source))]
    assert origins(by_name["model.embed_tokens.weight"]) == [("b", "model.embed_tokens.weight")]
    assert origins(by_name["model.norm.weight"]) == [("c", "model.norm.weight")]
    assert plan.config["num_hidden_layers"] == 6
    assert [job.name for job in plan.jobs][:1] == ["model.embed_tokens.weight"]
    assert plan.jobs[-1].name == "model.norm.weight"
    assert len(plan.layout.slots) == len(plan.jobs)


GRADED = """
merge_method: linear
general: <a>
slices:
- sources:
  - {model: <a>, layer_range: [0, 3], parameters: {weight: [0, 1]}}
- sources:
  - {model: <a>, layer_range: [0, 1], parameters: {weight: [2, 4]}}
  - {model: <b>, layer_range: [1, 2], parameters: {weight: 0.5}}
parameters: {normalize: false}
"""


def test_gradients_run_over_the_layers_of_the_slice_and_start_at_the_ends(four: tuple[Path, ...]) -> None:
    plan = plan_of(GRADED, four)
    weight = {job.name: job.arguments["weight"] for job in plan.jobs}
    at = [weight[f"model.layers.{layer}.self_attn.q_proj.weight"] for layer in range(4)]
    assert at == [(0.0,), (0.5,), (1.0,), (4.0, 0.5)]  # a single layer stands at t = 1
    assert weight["model.embed_tokens.weight"] == (0.0,)
    assert weight["model.norm.weight"] == (2.0, 0.5)  # all sources of the last slice, at t = 0


def test_gradients_over_whole_models(four: tuple[Path, ...]) -> None:
    plan = plan_of(
        "merge_method: slerp\nbase_model: <a>\nmodels: [{model: <b>}]\nparameters:\n  t:\n"
        "  - {filter: self_attn, value: [0, 1]}\n  - {filter: mlp, value: [1, 0]}\n  - {value: 0.25}\n",
        four,
    )
    t = {job.name: job.arguments["t"] for job in plan.jobs}
    for layer in range(4):
        assert t[f"model.layers.{layer}.self_attn.q_proj.weight"] == pytest.approx(layer / 3)
        assert t[f"model.layers.{layer}.mlp.up_proj.weight"] == pytest.approx(1 - layer / 3)
        assert t[f"model.layers.{layer}.input_layernorm.weight"] == 0.25
    assert t["model.embed_tokens.weight"] == 0.25


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[1, 4]", "[2, 5]"), "slices[1].sources[0].layer_range: layer_range must end within the 4 layers"),
        (("weight: 1}", "weight: [{filter: mpl, value: 1}, {value: 2}]}"), "'mpl', which matches none"),
        (("weight: 1}", "weight: [{filter: mlp, value: 1}]}"), "'weight' must have a value for every tensor."),
    ],
)
def test_what_shows_only_beside_the_models(four: tuple[Path, ...], change: tuple[str, str], said: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        plan_of(STACK.replace(*change), four)
    assert said in str(caught.value)


def test_weights_that_add_up_to_zero_in_some_layers(four: tuple[Path, ...]) -> None:
    text = (
        "merge_method: linear\ngeneral: <a>\nmodels:\n- {model: <a>, parameters: {weight: [1, -2]}}\n"
        "- {model: <b>, parameters: {weight: 1}}\n"
    )
    with pytest.raises(IncompatibleError, match=r"model\.layers\.2\..*add up to 0"):
        plan_of(text, four)


def test_under_compat_a_filter_that_matches_nothing_is_a_note(four: tuple[Path, ...]) -> None:
    text = "merge_method: linear\nmodels: [{model: <b>}]\nparameters: {weight: [{filter: mpl, value: 1}, {value: 2}]}\n"
    plan = plan_of(text, four, compat=True)
    assert any("'mpl' matches no tensor" in note for note in plan.notes)
    assert plan.recipe.rounding == "nearest"
    assert plan.donor == str(four[1])


def test_another_source_lacks_the_tensors_of_a_slice(four: tuple[Path, ...], tmp_path: Path) -> None:
    wide = tiny_model(tmp_path / "wide", seed=5, layers=4, hidden=64, chat_template=False)
    text = "merge_method: linear\nparameters: {weight: 1}\ngeneral: <a>\nslices:\n- sources:\n" + "".join(
        f"  - {{model: {model}, layer_range: [0, 4]}}\n" for model in (four[0], wide)
    )
    with pytest.raises(IncompatibleError, match="Shapes must be those of"):
        plan_of(text, four)


def folder(path: Path, tensors: dict[str, tuple[int, ...]], config: dict[str, Any]) -> Path:
    path.mkdir()
    zeros = {name: np.zeros(shape, np.float32) for name, shape in tensors.items()}
    save_file(zeros, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config))
    return path


T5 = {
    "shared.weight": (8, 4),
    **{f"{side}.block.{i}.layer.0.SelfAttention.q.weight": (4, 4) for side in ("encoder", "decoder") for i in range(2)},
    "encoder.final_layer_norm.weight": (4,),
    "decoder.final_layer_norm.weight": (4,),
    "lm_head.weight": (8, 4),
}
T5_CONFIG = {"model_type": "t5", "num_layers": 2, "num_decoder_layers": 2, "vocab_size": 8}
MODULES = """
merge_method: linear
general: <a>
modules:
  encoder: {models: [{model: <a>}, {model: <b>}], parameters: {weight: [1, 3]}}
  decoder:
    slices:
    - sources: [{model: <b>, layer_range: [0, 2], parameters: {weight: 5}}]
    - sources: [{model: <b>, layer_range: [1, 2], parameters: {weight: 7}}]
"""


def test_modules_of_an_encoder_and_a_decoder(tmp_path: Path) -> None:
    pair = tuple(folder(tmp_path / name, T5, T5_CONFIG) for name in "ab")
    plan = plan_of(MODULES, pair)
    by_name = {job.name: job for job in plan.jobs}
    q = "{}.block.{}.layer.0.SelfAttention.q.weight"
    assert by_name[q.format("encoder", 1)].arguments["weight"] == (3.0, 3.0)
    assert [name for _, name in origins(by_name[q.format("decoder", 2)])] == [q.format("decoder", 1)]
    assert by_name["shared.weight"].arguments["weight"] == (5.0,)  # the decoder takes what is neither's
    assert by_name["lm_head.weight"].arguments["weight"] == (7.0,)
    assert (plan.config["num_layers"], plan.config["num_decoder_layers"]) == (2, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("  encoder:", "  vision_tower:"), "A module must be a part of the model. Got 'vision_tower'."),
        (("  decoder:", "  encodr:"), "Parts: decoder, encoder, text."),
    ],
)
def test_modules_that_are_no_parts(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    pair = tuple(folder(tmp_path / name, T5, T5_CONFIG) for name in "ab")
    with pytest.raises(IncompatibleError) as caught:
        plan_of(MODULES.replace(*change), pair)
    assert said in str(caught.value)


def test_modules_must_leave_nothing_out(tmp_path: Path) -> None:
    pair = tuple(folder(tmp_path / name, T5, T5_CONFIG) for name in "ab")
    with pytest.raises(IncompatibleError, match=r"cover every tensor\. Got 5 left out: .*decoder\.block\.0"):
        plan_of(MODULES.partition("  decoder:")[0], pair)


def test_a_model_of_many_tensors_plans_in_seconds(tmp_path: Path) -> None:
    """A mixture of 128 experts has about 19,000 tensors; the bound is far above the second that it takes."""
    tensors = {
        f"model.layers.{layer}.mlp.experts.{expert}.{part}_proj.weight": (1, 1)
        for layer in range(48)
        for expert in range(128)
        for part in ("gate", "up", "down")
    }
    config = {"model_type": "qwen3_moe", "num_hidden_layers": 48, "vocab_size": 8}
    pair = tuple(folder(tmp_path / name, {"model.embed_tokens.weight": (8, 1), **tensors}, config) for name in "ab")
    text = (
        "merge_method: linear\ngeneral: <a>\nmodels: [{model: <a>}, {model: <b>}]\nparameters:\n"
        "  weight:\n  - {filter: up_proj, value: [1, 2, 3]}\n  - {value: [2, 1]}\n"
    )
    started = time.process_time()
    plan = plan_of(text, pair)
    assert time.process_time() - started < 10
    assert len(plan.jobs) == 18_433
