"""`suture recipe`, and recipes of mergekit on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from suture.cli import main
from suture.testing.tiny import tiny_model

THEIRS = """
models:
- model: {a}
- model: {b}
  parameters: {{weight: 0.5, density: 1.0}}
merge_method: dare_ties
base_model: {a}
model_name: a-and-b
parameters: {{lamda: 2, normalize: 1.0}}
dtype: float16
"""


@pytest.fixture
def recipe(tiny_pair: tuple[Path, Path], tmp_path: Path) -> Path:
    path = tmp_path / "theirs.yaml"
    path.write_text(THEIRS.format(a=tiny_pair[0], b=tiny_pair[1]))
    return path


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_a_recipe_of_mergekit_runs_with_a_note_for_what_is_ignored(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("merge", "--compat", recipe, tmp_path / "out", "--random-seed", "7", "--out-shard-size", "2M") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "line 8: 'model_name' is ignored" in said
    assert "line 9: 'lamda' is ignored: did you mean 'lambda'?" in said
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["rounding"], manifest["seed"]) == ("nearest", 7)
    assert manifest["recipe"]["parameters"] == {"normalize": True, "rescale": "l1"}


def test_without_compat_the_same_things_are_errors_with_the_line_to_write(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("merge", recipe, tmp_path / "out") == 2
    assert "'model_name' is not a known key" in capsys.readouterr().err
    recipe.write_text(recipe.read_text().replace("model_name: a-and-b\n", ""))
    assert run("merge", recipe, tmp_path / "out") == 2
    assert "Write 'lambda: 2'." in capsys.readouterr().err


def test_a_converted_recipe_makes_the_same_weights(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("recipe", "convert", recipe) == 0
    (tmp_path / "ours.yaml").write_text(capsys.readouterr().out)
    assert run("merge", "--compat", recipe, tmp_path / "one") == 0
    assert run("merge", tmp_path / "ours.yaml", tmp_path / "two") == 0
    digests = [json.loads((tmp_path / n / "manifest.json").read_text())["weights_digest"] for n in ("one", "two")]
    assert digests[0] == digests[1]


def test_values_too_small_for_the_output_are_let_pass_as_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model(tmp_path / "a", seed=1)
    tensors = load_file(model / "model.safetensors")
    tensors["model.norm.weight"][0] = 1e-9
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "r.yaml").write_text(f"merge_method: passthrough\nmodels: [{{model: {model}}}]\nout_dtype: float16\n")
    assert run("merge", tmp_path / "r.yaml", tmp_path / "strict") == 7
    assert run("merge", "--compat", tmp_path / "r.yaml", tmp_path / "out") == 0
    assert load_file(tmp_path / "out" / "model.safetensors")["model.norm.weight"][0] == 0


@pytest.mark.parametrize("size", ["5Q", "B", "1000", "-3"])
def test_a_shard_size_that_is_none(recipe: Path, tmp_path: Path, size: str) -> None:
    assert run("merge", "--compat", recipe, tmp_path / "out", f"--out-shard-size={size}") == 2


def test_the_chat_template_that_a_recipe_asks_for_is_written(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    (tmp_path / "r.yaml").write_text(
        f"merge_method: passthrough\nmodels: [{{model: {tiny_pair[1]}}}]\nchat_template: llama3\n"
        f"general: {tiny_pair[1]}\ntokenizer_source: union\n"
    )
    assert run("merge", tmp_path / "r.yaml", tmp_path / "out") == 0
    text = AutoTokenizer.from_pretrained(str(tmp_path / "out")).apply_chat_template(
        [{"role": "user", "content": " Hello "}], tokenize=False, add_generation_prompt=True
    )
    assert text.endswith(
        "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipe", "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Suture recipe"
