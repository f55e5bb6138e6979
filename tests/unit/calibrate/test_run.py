"""Statistics against direct computation on a tiny model; private files; no text in any message."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file

from suture.calibrate import Settings, calibrate
from suture.calibrate.measures import Share, grouped
from suture.calibrate.texts import read_texts
from suture.checkpoint.header import read_header
from suture.cli import main
from suture.errors import BadInputError, OutputExistsError
from suture.testing.tiny import tiny_model

TEXTS = ("No fever, no chest pain.", "The patient reports a cough.", "Findings: the lungs are clear. Follow up.")
SMALL = Settings(memory=1)  # every sum is larger: one pass each


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "model", seed=3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text, "id": "x"}) + "\n" for text in TEXTS))
    return file


def loaded(folder: Path) -> tuple[Any, list[torch.Tensor]]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    return model, [torch.tensor([tokenizer(text)["input_ids"]]) for text in TEXTS]


def test_grams_are_those_of_the_inputs(model: Path, data: Path, tmp_path: Path) -> None:
    found = calibrate(model, data, tmp_path / "gram.safetensors", "gram", Settings())
    written = load_file(tmp_path / "gram.safetensors")
    runs, rows = loaded(model)
    inputs: dict[str, list[np.ndarray]] = {}
    for name, module in runs.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(
                lambda _, given, __, name=name: inputs.setdefault(name, []).append(given[0][0].double().numpy())
            )
    with torch.no_grad():
        for row in rows:
            runs(row)
    inputs.pop("lm_head")  # tied: its weight is the embedding's
    assert set(written) == {f"{name}.weight" for name in inputs}
    for name, given in inputs.items():
        x = np.concatenate(given)
        np.testing.assert_allclose(written[f"{name}.weight"].numpy(), x.T @ x / len(x), rtol=1e-4, atol=1e-7)
    assert (found.texts, found.tensors, found.passes) == (3, len(inputs), 1)
    assert found.tokens == sum(row.shape[1] for row in rows)
    assert found.left_out == ("model.embed_tokens.weight",)


def test_fisher_is_the_mean_of_squared_gradients(model: Path, data: Path, tmp_path: Path) -> None:
    found = calibrate(model, data, tmp_path / "fisher.safetensors", "fisher", Settings())
    written = load_file(tmp_path / "fisher.safetensors")
    runs, rows = loaded(model)
    expected = {name: np.zeros(value.shape) for name, value in runs.named_parameters()}
    for row in rows:
        runs.zero_grad()
        loss = runs(row, labels=row).loss * (row.shape[1] - 1)
        loss.backward()
        for name, value in runs.named_parameters():
            expected[name] += value.grad.double().numpy() ** 2 / len(rows)
    assert written.keys() == expected.keys() == load_file(model / "model.safetensors").keys()
    for name, values in expected.items():
        np.testing.assert_allclose(written[name].numpy(), values, rtol=1e-3, atol=1e-6 * values.max(), err_msg=name)
    assert found.left_out == ()


@pytest.mark.parametrize("statistic", ["gram", "fisher"])
def test_many_passes_measure_the_same(model: Path, data: Path, tmp_path: Path, statistic: Any) -> None:
    once = calibrate(model, data, tmp_path / "once.safetensors", statistic, Settings())
    often = calibrate(model, data, tmp_path / "often.safetensors", statistic, SMALL)
    assert (once.passes, often.passes >= 8) == (1, True)
    one, other = load_file(tmp_path / "once.safetensors"), load_file(tmp_path / "often.safetensors")
    assert one.keys() == other.keys()
    for name, values in one.items():
        torch.testing.assert_close(other[name], values, rtol=1e-5, atol=1e-9)


def test_the_file_is_private_and_says_what_it_is(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "gram.safetensors"
    calibrate(model, data, out, "gram", Settings(length=4))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert len(read_header(out)) == 14
    with safe_open(out, "pt") as file:
        told = file.metadata()
    assert (told["statistic"], told["texts"], told["tokens"]) == ("gram", "3", "12")
    with pytest.raises(OutputExistsError):
        calibrate(model, data, out, "gram", Settings())
    assert {path.name for path in tmp_path.iterdir()} == {"texts.jsonl", "gram.safetensors"}


def test_layers_that_see_the_same_inputs_are_measured_once() -> None:
    shares = [Share((str(i),), (str(i),), n) for i, n in enumerate([4, 4, 16, 1, 1])]
    assert [[s.names[0] for s in g] for g in grouped(shares, 64, 8)] == [["0", "1"], ["2"], ["3", "4"]]


def test_fields_are_joined(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text('{"input": "a", "target": "b"}\n\n{"input": "c", "target": "d"}\n')
    assert read_texts(file, ["input", "target"]) == ["a\nb", "c\nd"]


def test_bad_lines_are_named_without_their_text(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "fine"}\n{"secret\n{"note": "secret"}\n["secret"]\n')
    with pytest.raises(BadInputError) as error:
        read_texts(file, ["text"])
    assert [f"line {n}" in str(error.value) for n in (1, 2, 3, 4)] == [False, True, True, True]
    assert "secret" not in str(error.value)
    file.write_text("\n")
    with pytest.raises(BadInputError, match="empty file"):
        read_texts(file, ["text"])
    with pytest.raises(BadInputError, match="no such file"):
        read_texts(tmp_path / "none", ["text"])


def test_the_command(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["calibrate", str(model), str(tmp_path / "f.safetensors"), "--data", str(data), "--statistic", "fisher"]
    for code in (0, 5):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == code
    told = capsys.readouterr()
    assert "texts: 3" in told.out
    assert "in 1 passes" in told.out
    assert all(text not in told.out + told.err for text in TEXTS)
