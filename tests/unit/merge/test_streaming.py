"""The streaming loop against an independent reference in float64, on tiny real checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from suture.checkpoint.digest import weights_digest
from suture.checkpoint.manifest import Manifest
from suture.errors import IncompatibleError, NumericError, OutputExistsError
from suture.merge import execute
from suture.methods import registry
from suture.methods.registry import METHODS, MatrixMethod
from suture.plan import make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model


def merge(text: str, out: Path, workers: int = 2) -> Manifest:
    return execute(make_plan(parse_recipe(text)), out, workers=workers)


def linear(pair: tuple[Path, Path], a: float, extra: str = "") -> str:
    general, clinical = pair
    return (
        f"merge_method: linear\ngeneral: {general}\nclinical: {clinical}\nmodels:\n"
        f"  - {{model: {general}, parameters: {{weight: {1 - a}}}}}\n"
        f"  - {{model: {clinical}, parameters: {{weight: {a}}}}}\n{extra}"
    )


def load(folder: Path) -> dict[str, np.ndarray]:
    return {name: t.float().numpy() for name, t in load_file(folder / "model.safetensors").items()}


def test_linear_equals_the_formula_in_float64(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    manifest = merge(linear(tiny_pair, 0.25), tmp_path / "out")
    general, clinical, out = load(tiny_pair[0]), load(tiny_pair[1]), load(tmp_path / "out")
    assert out.keys() == general.keys()
    for name, values in out.items():
        exact = 0.75 * general[name].astype(np.float64) + 0.25 * clinical[name]
        np.testing.assert_allclose(values, exact, rtol=0, atol=1e-7)
    assert manifest.realised is not None
    assert manifest.realised.nominal == pytest.approx(0.25, abs=1e-6)
    assert manifest.realised.coefficient == manifest.realised.nominal


@pytest.mark.parametrize(("a", "parent"), [(0.0, 0), (1.0, 1)])
def test_the_ends_are_the_parents_bit_for_bit(
    tiny_pair: tuple[Path, Path], tmp_path: Path, a: float, parent: int
) -> None:
    assert merge(linear(tiny_pair, a), tmp_path / "out").weights_digest == weights_digest(tiny_pair[parent])


def test_the_manifest_tells_the_digests_that_a_reader_finds(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    manifest = merge(linear(tiny_pair, 0.5, "out_dtype: bfloat16\n"), tmp_path / "out")
    assert manifest.weights_digest == weights_digest(tmp_path / "out")
    assert [i.weights_digest for i in manifest.inputs] == [weights_digest(p) for p in tiny_pair]
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert written["weights_digest"] == manifest.weights_digest
    assert set(written["tensors"]) == set(load(tiny_pair[0]))


OF_ONE_OTHER = {
    "slerp": "{t: 0.3}",
    "task_arithmetic": "{weight: 0.3}",
    "nearswap": "{t: 0.01}",
    "dare_linear": "{weight: 0.3, density: 0.5, rescale: l1}",
}


@pytest.mark.parametrize("method", ["linear", *OF_ONE_OTHER])
def test_bytes_do_not_depend_on_workers_or_shards(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = tiny_model(tmp_path / "a", seed=1, hidden=64)
    b = tiny_model(tmp_path / "b", seed=2, hidden=64, chat_template=False)
    base = f"merge_method: {method}\nbase_model: {a}\nmodels: [{{model: {b}}}]\nparameters: "
    text = linear((a, b), 0.3) if method == "linear" else base + OF_ONE_OTHER[method] + "\n"
    text += "out_dtype: bfloat16\n"
    first = merge(text, tmp_path / "one", workers=1).weights_digest
    assert merge(text, tmp_path / "two", workers=4).weights_digest == first
    again = execute(make_plan(parse_recipe(text).model_copy(update={"max_shard_bytes": 20_000})), tmp_path / "three")
    assert again.weights_digest == first
    assert len(list((tmp_path / "three").glob("*.safetensors"))) > 1


def test_the_output_runs_in_transformers(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merge(linear(tiny_pair, 0.5, "dtype: bfloat16\nmax_shard_bytes: 1048576\n"), tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(str(tmp_path / "out"))
    assert model.dtype == torch.bfloat16
    assert model.lm_head.weight is model.model.embed_tokens.weight
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "out"))
    assert tokenizer.chat_template
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def close_pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two bf16 models about 0.3 % apart, as a light fine-tune leaves them."""
    import torch

    a = tiny_model(tmp_path / "a", seed=1, hidden=64, dtype="bfloat16")
    b = tiny_model(tmp_path / "b", seed=1, hidden=64, dtype="bfloat16", chat_template=False)
    generator = torch.Generator().manual_seed(0)
    tensors = load_file(b / "model.safetensors")
    moved = {
        name: (t.float() * (1 + 0.003 * torch.randn(t.shape, generator=generator))).to(torch.bfloat16)
        if t.ndim == 2
        else t
        for name, t in tensors.items()
    }
    save_file(moved, b / "model.safetensors", metadata={"format": "pt"})
    return a, b


def test_stochastic_rounding_keeps_the_coefficient_that_nearest_loses(tmp_path: Path) -> None:
    pair = close_pair(tmp_path)
    kept = merge(linear(pair, 0.25), tmp_path / "stochastic").realised
    lost = merge(linear(pair, 0.25, "rounding: nearest\n"), tmp_path / "nearest").realised
    assert kept is not None
    assert lost is not None
    assert kept.coefficient == pytest.approx(0.25, rel=0.05)
    assert not kept.deviates
    assert lost.coefficient is not None
    assert lost.coefficient < 0.15
    assert lost.deviates


def poison(folder: Path, value: float) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][:3] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_nan_is_refused_with_tensor_and_count(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    bad = tiny_model(tmp_path / "bad", seed=3, chat_template=False)
    poison(bad, float("nan"))
    with pytest.raises(NumericError, match=r"bad, model\.norm\.weight.*3 NaN"):
        merge(linear((tiny_pair[0], bad), 0.5), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_overflow_on_the_output_cast_is_refused(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    big = tiny_model(tmp_path / "big", seed=3, chat_template=False)
    poison(big, 1e6)
    with pytest.raises(NumericError, match=r"model\.norm\.weight: The result must fit F16"):
        merge(linear((tiny_pair[0], big), 0.5, "out_dtype: float16\n"), tmp_path / "out")


def with_buffer(folder: Path, value: int) -> Path:
    import torch

    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "steps": torch.full((4,), value)}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_integer_buffers_are_copied_where_equal_and_refused_where_not(tmp_path: Path) -> None:
    a, b, c = (tiny_model(tmp_path / n, seed=i, chat_template=n == "a") for i, n in enumerate("abc"))
    for folder, value in ((a, 7), (b, 7), (c, 8)):
        with_buffer(folder, value)
    manifest = merge(linear((a, b), 0.5), tmp_path / "out")
    assert manifest.tensors["steps"].action == "copied"
    assert load_file(tmp_path / "out" / "model.safetensors")["steps"].tolist() == [7] * 4
    with pytest.raises(IncompatibleError, match="steps"):
        merge(linear((a, c), 0.5), tmp_path / "refused")


def test_an_existing_output_is_refused_and_left_alone(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    merge(linear(tiny_pair, 0.5), tmp_path / "out")
    before = weights_digest(tmp_path / "out")
    with pytest.raises(OutputExistsError):
        merge(linear(tiny_pair, 0.25), tmp_path / "out")
    assert weights_digest(tmp_path / "out") == before


def test_inputs_are_not_modified(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    before = [weights_digest(path) for path in tiny_pair]
    merge(linear(tiny_pair, 0.5), tmp_path / "out")
    assert [weights_digest(path) for path in tiny_pair] == before


def test_code_in_a_model_folder_is_not_copied(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    coded = tiny_model(tmp_path / "coded", seed=3)
    (coded / "modeling.py").write_text("raise SystemExit")
    config = json.loads((coded / "config.json").read_text())
    (coded / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling.Model"}}))
    merge(linear((coded, tiny_pair[1]), 0.5), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.py"))
    assert "auto_map" not in json.loads((tmp_path / "out" / "config.json").read_text())


def halfway(tensors: list[np.ndarray]) -> np.ndarray:
    assert all(tensor.ndim >= 1 for tensor in tensors)
    return (tensors[0] + tensors[1]) / 2


def test_a_method_of_matrix_shape_is_streamed_matrix_by_matrix(
    tiny_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear_info = METHODS["linear"].info
    info = replace(linear_info, name="halfway", shape="matrix", parameters=(), check=lambda _: [])
    monkeypatch.setitem(registry._registered, "halfway", MatrixMethod(info, halfway, lambda shape, inputs: 0))
    text = linear(tiny_pair, 0.5)
    whole = text.replace("merge_method: linear", "merge_method: halfway")
    whole = whole.replace(", parameters: {weight: 0.5}", "")
    merge(text, tmp_path / "linear")
    merge(whole, tmp_path / "matrix")
    expected, found = load(tmp_path / "linear"), load(tmp_path / "matrix")
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-7)


def test_slerp_counts_the_tensors_that_take_the_arc(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    general, clinical = tiny_pair
    text = f"merge_method: slerp\nbase_model: {general}\nmodels: [{{model: {clinical}}}]\nparameters: {{t: 0.5}}\n"
    manifest = merge(text, tmp_path / "out")
    merged = [entry for entry in manifest.tensors.values() if entry.action == "merged"]
    norms = sum("norm" in name for name in manifest.tensors)
    assert manifest.arc_tensors == len(merged) - norms
