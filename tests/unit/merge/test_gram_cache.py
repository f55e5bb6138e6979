"""Kept Gram matrices: a second merge reads once and writes the same bytes; changed parents are noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from suture.checkpoint.header import TensorInfo
from suture.checkpoint.reader import TensorReader
from suture.errors import IntegrityError
from suture.kernels.grams import gram_pairs
from suture.kernels.streams import Stream
from suture.merge import execute
from suture.plan import Plan, make_plan
from suture.recipe import parse_recipe
from suture.testing.tiny import tiny_model


@pytest.fixture
def parents(tmp_path: Path) -> tuple[Path, Path]:
    a = tiny_model(tmp_path / "a", seed=1, hidden=64, dtype="bfloat16")
    return a, tiny_model(tmp_path / "b", seed=2, hidden=64, dtype="bfloat16", chat_template=False)


def slerp(parents: tuple[Path, Path], t: float) -> Plan:
    a, b = parents
    return make_plan(
        parse_recipe(f"merge_method: slerp\nbase_model: {a}\nmodels: [{{model: {b}}}]\nparameters: {{t: {t}}}\n")
    )


def test_a_second_merge_reads_the_inputs_once(
    parents: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, inner = [0], TensorReader.read_into

    def counting(self: TensorReader, info: TensorInfo, start: int, buffer: memoryview) -> None:
        read[0] += len(buffer) * info.name.endswith("proj.weight")  # of the embedding, rows are looked at as well
        inner(self, info, start, buffer)

    measured: list[int] = []

    def noted(stream: Stream, count: int) -> Any:
        measured.append(count)
        return gram_pairs(stream, count)

    monkeypatch.setattr(TensorReader, "read_into", counting)
    monkeypatch.setattr("suture.merge.evaluation.gram_pairs", noted)
    execute(slerp(parents, 0.1), tmp_path / "first", cache=tmp_path / "cache")
    assert sum(measured) > 0
    measured.clear()
    first, read[0] = read[0], 0
    second = execute(slerp(parents, 0.7), tmp_path / "second", cache=tmp_path / "cache")
    assert read[0] == first  # each once, for the result: loops that measure read by themselves
    assert not measured
    assert execute(slerp(parents, 0.7), tmp_path / "plain").weights_digest == second.weights_digest


def test_matrices_of_other_weights_are_noticed(parents: tuple[Path, Path], tmp_path: Path) -> None:
    execute(slerp(parents, 0.1), tmp_path / "first", cache=tmp_path / "cache")
    [file] = (tmp_path / "cache" / "grams").iterdir()
    content = json.loads(file.read_text())
    content["digests"][1] = "0" * 64  # as if the file had been changed behind its time stamps
    file.write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="changed files with old time stamps"):
        execute(slerp(parents, 0.2), tmp_path / "second", cache=tmp_path / "cache")
    assert not (tmp_path / "second").exists()
    again = execute(slerp(parents, 0.2), tmp_path / "second", cache=tmp_path / "cache")
    assert again.weights_digest == execute(slerp(parents, 0.2), tmp_path / "plain").weights_digest


def test_another_set_of_parents_has_matrices_of_its_own(parents: tuple[Path, Path], tmp_path: Path) -> None:
    execute(slerp(parents, 0.1), tmp_path / "first", cache=tmp_path / "cache")
    changed = {name: 2 * tensor for name, tensor in load_file(parents[1] / "model.safetensors").items()}
    save_file(changed, parents[1] / "model.safetensors", metadata={"format": "pt"})
    held = execute(slerp(parents, 0.1), tmp_path / "second", cache=tmp_path / "cache")
    assert held.weights_digest == execute(slerp(parents, 0.1), tmp_path / "plain").weights_digest
    assert len(list((tmp_path / "cache" / "grams").iterdir())) == 2


def test_a_broken_cache_is_as_good_as_none(parents: tuple[Path, Path], tmp_path: Path) -> None:
    first = execute(slerp(parents, 0.1), tmp_path / "first", cache=tmp_path / "cache")
    [file] = (tmp_path / "cache" / "grams").iterdir()
    file.write_text("{")
    assert (
        execute(slerp(parents, 0.1), tmp_path / "second", cache=tmp_path / "cache").weights_digest
        == first.weights_digest
    )
