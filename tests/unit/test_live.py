"""A live merge holds what the streamed merge writes, under transformers' own names, and answers like it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from suture.checkpoint.header import TensorInfo
from suture.errors import IncompatibleError, UsageError
from suture.live import LiveMerge, fingerprint, with_parameters
from suture.merge import execute
from suture.plan import make_plan
from suture.recipe import Recipe, parse_recipe
from suture.testing.tiny import tiny_model


def recipe_of(models: list[Path], method: str, dtype: str, **shared: float) -> Recipe:
    listed = models if method == "linear" else models[1:]
    weight = {} if method == "slerp" else {"weight": 0.25}
    return parse_recipe(
        json.dumps(
            {
                "merge_method": method,
                "general": str(models[0]),
                "models": [{"model": str(model), "parameters": weight} for model in listed],
                "dtype": dtype,
                "parameters": shared,
                **({} if method == "linear" else {"base_model": str(models[0])}),
            }
        )
    )


def moe(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    config = Qwen3MoeConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        moe_intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        num_experts=4,
        num_experts_per_tok=2,
        decoder_sparse_step=1,
    )
    Qwen3MoeForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    donor = tiny_model(folder.with_name(folder.name + "-words"), seed=0)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (donor / name).is_file():
            (folder / name).write_bytes((donor / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    folder = tmp_path_factory.mktemp("live")
    return {
        "tied": [tiny_model(folder / f"tied-{i}", seed=i, hidden=64, dtype="bfloat16") for i in range(2)],
        "mixture": [moe(folder / f"mixture-{i}", seed=i) for i in range(2)],
    }


@pytest.mark.parametrize("kind", ["tied", "mixture"])
@pytest.mark.parametrize("method", ["linear", "slerp", "ties"])
def test_live_equals_streamed_bit_for_bit(kind: str, method: str, pairs: dict[str, list[Path]], tmp_path: Path) -> None:
    changed = {"t": 0.7} if method == "slerp" else {"weight": [0.3, 0.7] if method == "linear" else 0.6}
    recipe = recipe_of(pairs[kind], method, "bfloat16", **({"t": 0.3} if method == "slerp" else {}))
    with LiveMerge(recipe) as live:
        for number, parameters in enumerate(({}, changed, {})):
            realised = live.merge(**parameters)
            target = tmp_path / f"{number}"
            written = execute(make_plan(with_parameters(recipe, parameters)), target, sync=False)
            loaded = AutoModelForCausalLM.from_pretrained(target, dtype=torch.bfloat16)
            state = live.model.state_dict()
            assert loaded.state_dict().keys() == state.keys()
            assert all((state[name] == value).all() for name, value in loaded.state_dict().items())
            assert fingerprint(live.model) == fingerprint(loaded)
            assert written.realised is not None
            assert realised == written.realised.coefficient


def test_a_wider_model_holds_the_same_values(pairs: dict[str, list[Path]], tmp_path: Path) -> None:
    recipe = recipe_of(pairs["tied"], "linear", "bfloat16")
    execute(make_plan(recipe), tmp_path / "out", sync=False)
    with LiveMerge(recipe, dtype="float32") as live:
        live.merge()
        state = live.model.state_dict()
        for name, tensor in load_file(tmp_path / "out" / "model.safetensors").items():
            assert (state[name] == tensor.float()).all()


def test_a_changed_coefficient_changes_the_fingerprint(pairs: dict[str, list[Path]]) -> None:
    with LiveMerge(recipe_of(pairs["tied"], "linear", "float32"), dtype="float32") as live:
        live.merge(weight=[1.0, 0.0])
        one = fingerprint(live.model)
        live.merge(weight=[0.0, 1.0])
        assert fingerprint(live.model) != one
        assert len(one) == 63


def test_gram_matrices_are_taken_once(pairs: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    from suture.checkpoint.reader import TensorReader

    read = [0]
    inner = TensorReader.read_into

    def counting(self: TensorReader, info: TensorInfo, start: int, buffer: memoryview) -> None:
        read[0] += len(buffer) * info.name.endswith("proj.weight")  # of the embedding, rows are looked at as well
        inner(self, info, start, buffer)

    with LiveMerge(recipe_of(pairs["tied"], "slerp", "bfloat16", t=0.5)) as live:
        monkeypatch.setattr(TensorReader, "read_into", counting)
        live.merge(t=0.1)
        first, read[0] = read[0], 0
        live.merge(t=0.9)
        assert read[0] * 2 == first


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"weight": [0.5]}, "one value for each of the 2 models"),
        ({"wieght": 0.5}, "Write 'weight: 0.5'"),
        ({"weight": "much"}, "weight must be"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, object], said: str, pairs: dict[str, list[Path]]) -> None:
    recipe = recipe_of(pairs["tied"], "linear", "bfloat16")
    with pytest.raises(UsageError, match=said):
        with_parameters(recipe, parameters)


def test_another_model_is_refused(pairs: dict[str, list[Path]]) -> None:
    from suture.checkpoint.parameters import ParameterSink

    plan = make_plan(recipe_of(pairs["tied"], "linear", "bfloat16"))
    other = AutoModelForCausalLM.from_pretrained(pairs["mixture"][0])
    with pytest.raises(IncompatibleError, match=r"reach a parameter|must have its shape"):
        ParameterSink(other, plan.jobs)


def test_another_method_in_the_same_model_equals_its_own_merge(pairs: dict[str, list[Path]], tmp_path: Path) -> None:
    first = recipe_of(pairs["tied"], "linear", "bfloat16")
    others = [recipe_of(pairs["tied"], "slerp", "bfloat16", t=t) for t in (0.3, 0.6)]
    others += [recipe_of(pairs["tied"], "ties", "bfloat16", density=0.4), first]
    with LiveMerge(first) as live:
        for number, recipe in enumerate(others):
            live.merge_as(recipe)
            written = tmp_path / f"{number}"
            execute(make_plan(recipe), written, sync=False)
            loaded = AutoModelForCausalLM.from_pretrained(written, dtype=torch.bfloat16)
            held = live.model.state_dict()
            assert all(torch.equal(held[name], tensor) for name, tensor in loaded.state_dict().items())


def test_a_recipe_of_other_tensors_is_refused_live(pairs: dict[str, list[Path]], tmp_path: Path) -> None:
    other = [tiny_model(tmp_path / f"{i}", seed=i, hidden=32, dtype="bfloat16") for i in range(2)]
    with LiveMerge(recipe_of(pairs["tied"], "linear", "bfloat16")) as live, pytest.raises(IncompatibleError):
        live.merge_as(recipe_of(other, "linear", "bfloat16"))
