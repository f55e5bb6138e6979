"""`suture merge --compat` against what mergekit 0.1.5 wrote from the same recipes and models (see make.py).

Same names, shapes and dtypes; at most one element in a hundred differs, by one unit in the last place of the output
type. Methods that draw: the same distribution of what is kept, and the same L1 norm after rescaling.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file

from suture.merge import execute
from suture.methods.registry import METHODS
from suture.plan import make_plan
from suture.recipe import parse_recipe

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from compat_cases import CASES, RANDOM  # noqa: E402

BITS = {torch.float32: 31, torch.bfloat16: 15, torch.float16: 15}
SHARE, UNITS = 0.01, 1
TIES = {"linear ties": 0.02}
"""Tenths of aligned bfloat16 numbers lie exactly between two of them now and then: the last bit of either program's
float32 then decides. Both are right; a few more elements differ.
"""


def theirs(case: str) -> dict[str, torch.Tensor]:
    with safe_open(HERE / "outputs.safetensors", "pt") as file:
        names = [name for name in list(file.keys()) if name.partition("|")[0] == case]
        return {name.partition("|")[2]: file.get_tensor(name) for name in names}


def ours(recipe: str, models: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    monkeypatch.chdir(models)
    execute(make_plan(parse_recipe(recipe, compat=True)), out, workers=1)
    return load_file(out / "model.safetensors")


def units_apart(x: torch.Tensor, y: torch.Tensor) -> NDArray[np.int64]:
    """Distance of the elements in units in the last place: how many values of the type lie between them."""
    bits = BITS[x.dtype]
    whole = []
    for tensor in (x, y):
        raw = tensor.contiguous().view(torch.int32 if bits == 31 else torch.int16).numpy().astype(np.int64)
        whole.append(np.where(raw < 0, -(raw + (1 << bits)), raw))
    return np.abs(whole[0] - whole[1])


def distances(x: torch.Tensor, y: torch.Tensor) -> NDArray[np.int64]:
    """units_apart, where what is left of a cancellation in float32 counts as one unit: a difference below 2^-24 of the
    tensor's largest element is a last bit of the sum that either program formed, however many values lie in it.
    """
    rest = (x.double() - y.double()).abs().numpy() <= 2.0**-24 * y.double().abs().max().item()
    apart = units_apart(x, y)
    return np.where(rest, np.minimum(apart, 1), apart)


def skip_unknown(recipe: str) -> None:
    method = recipe.split("merge_method: ")[1].split()[0]
    if method not in METHODS:
        pytest.skip(f"{method} is not here yet")


@pytest.mark.parametrize("case", CASES)
def test_equal_within_the_tolerance(
    case: str, compat_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_unknown(CASES[case])
    expected, found = theirs(case), ours(CASES[case], compat_models, tmp_path / "out", monkeypatch)
    assert {n: (t.shape, t.dtype) for n, t in found.items()} == {n: (t.shape, t.dtype) for n, t in expected.items()}
    apart = np.concatenate([distances(found[name], expected[name]).ravel() for name in expected])
    assert apart.max() <= UNITS
    assert np.mean(apart > 0) <= TIES.get(case, SHARE)


def test_every_case_was_run_by_the_version_that_is_meant() -> None:
    about = json.loads((HERE / "outputs.json").read_text())
    assert (about["mergekit"], about["refused"]) == ("0.1.5", {})
    with safe_open(HERE / "outputs.safetensors", "pt") as file:
        assert {name.partition("|")[0] for name in list(file.keys())} == {*CASES, *RANDOM}


@pytest.mark.parametrize("case", RANDOM)
def test_random_methods_have_the_same_distribution(
    case: str, compat_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One model with weight 1: the result minus the base is zero where dropped, the scaled task vector elsewhere."""
    skip_unknown(RANDOM[case])
    base, model = (load_file(compat_models / name / "model.safetensors") for name in ("a32", "b32"))
    expected, found = theirs(case), ours(RANDOM[case], compat_models, tmp_path / "out", monkeypatch)
    elements = kept_here = kept_there = 0
    for name, whole in model.items():
        if "norm" in name:
            continue  # too few elements, and rows of one are not defined there
        task = (whole - base[name]).double().numpy()
        here, there = ((x[name].double() - base[name].double()).numpy() for x in (found, expected))
        for moved in (here, there):
            kept = np.abs(moved) > 1e-3 * np.abs(task)
            scale = np.abs(task).sum() / np.abs(task[kept]).sum()
            assert np.allclose(moved[kept], scale * task[kept], rtol=1e-4, atol=1e-7), name
        elements += task.size
        kept_here += int((np.abs(here) > 1e-3 * np.abs(task)).sum())
        kept_there += int((np.abs(there) > 1e-3 * np.abs(task)).sum())
    spread = 4 * np.sqrt(0.6 * 0.4 * elements)
    assert abs(kept_here - 0.6 * elements) < spread
    assert abs(kept_here - kept_there) < spread * np.sqrt(2)
