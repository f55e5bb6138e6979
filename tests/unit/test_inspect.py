from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from suture.cli import main
from suture.errors import IncompatibleError
from suture.inspect import inspect_models


def write(folder: Path, **tensors: torch.Tensor) -> Path:
    folder.mkdir()
    config = {"model_type": "llama", "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_geometry_by_hand(tmp_path: Path) -> None:
    base = write(tmp_path / "base", w=torch.tensor([1.0, 2.0, 2.0, 0.0]))
    a = write(tmp_path / "a", w=torch.tensor([2.0, 2.0, 2.0, 1.0]))  # task vector (1, 0, 0, 1)
    b = write(tmp_path / "b", w=torch.tensor([0.0, 2.0, 3.0, 1.0]))  # task vector (-1, 0, 1, 1)
    found = inspect_models(a, b, base).whole
    assert found.distance == pytest.approx(math.sqrt(5 / 13))  # |(-2, 0, 1, 0)| over |(2, 2, 2, 1)|
    assert found.cosine == pytest.approx(11 / math.sqrt(13 * 14))
    assert found.task_cosine == pytest.approx(0, abs=1e-12)
    assert found.sign_conflict == 0.5  # of the two elements where both differ from the base, the first
    assert found.arcs == 1
    assert found.realised == pytest.approx([0.1 * step for step in range(1, 10)], abs=1e-6)  # fp32 loses nothing
    alone = inspect_models(a, b).whole
    assert (alone.distance, alone.cosine) == pytest.approx((found.distance, found.cosine))
    assert alone.task_cosine is None
    assert alone.sign_conflict is None


def test_rounding_to_nearest_eats_small_coefficients_of_close_models(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    start = torch.tensor(0.02 * rng.standard_normal(100_000), dtype=torch.bfloat16)
    moved = (start.float() + torch.tensor(0.00006 * rng.standard_normal(100_000))).to(torch.bfloat16)
    a, b = write(tmp_path / "a", w=start), write(tmp_path / "b", w=moved)
    found = inspect_models(a, b).whole
    assert found.distance == pytest.approx(0.003, rel=0.3)
    assert found.realised[1] < 0.1  # nominal 0.2
    assert found.realised[7] > 0.85  # nominal 0.8
    assert found.arcs == 0


def test_equal_models_have_no_way_between_them(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, w=torch.ones(8)) for name in "ab")
    found = inspect_models(a, b).whole
    assert (found.distance, found.cosine) == (0, pytest.approx(1))
    assert all(math.isnan(value) for value in found.realised)


def test_layers_add_up_and_the_rest_is_named(tiny_pair: tuple[Path, Path], tmp_path: Path) -> None:
    found = inspect_models(*tiny_pair)
    assert sum(layer.elements for layer in found.layers) == found.whole.elements
    assert {"layer 0", "layer 1"} <= {layer.name for layer in found.layers}
    assert len(found.layers) < len(found.tensors)
    a = write(tmp_path / "a", w=torch.ones(8), only=torch.ones(2), ids=torch.arange(3))
    b = write(tmp_path / "b", w=torch.ones(8), ids=torch.arange(3))
    assert inspect_models(a, b).left_out == ("ids", "only")
    with pytest.raises(IncompatibleError, match="none in common"):
        inspect_models(a, write(tmp_path / "c", w=torch.ones(7)))


def test_the_command_prints_a_table_json_and_a_page(
    tiny_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["inspect", *map(str, tiny_pair), "--base", str(tiny_pair[0])]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--page", str(tmp_path / "page.html")])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "slerp takes the arc on" in out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "what rounding to nearest leaves" in page
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    content = json.loads(capsys.readouterr().out)
    assert content["whole"]["task_cosine"] is None  # the general model is its own base
    assert len(content["whole"]["realised"]) == 9
