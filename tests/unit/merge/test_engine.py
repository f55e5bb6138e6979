"""The engine on tensors of many units: the same bytes whatever the workers, the backend and the interruptions."""

from __future__ import annotations

import cProfile
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from suture import kernels
from suture.checkpoint.digest import weights_digest
from suture.checkpoint.layout import UNIT_ELEMENTS
from suture.errors import NumericError
from suture.merge import derive, execute
from suture.merge.backend import TorchBackend
from suture.merge.pivots import settle, settle_by_sorting
from suture.merge.unit import UnitWork
from suture.methods.registry import METHODS, MatrixMethod
from suture.plan import Plan, make_plan
from suture.recipe import parse_recipe

SHAPES = {"large.weight": (1100, 4096), "rows.weight": (37, 333), "norm.weight": (2048,), "scalar": ()}
PARAMETERS = {
    "weight": 0.4,
    "t": 0.3,
    "density": 0.5,
    "gamma": 0.01,
    "epsilon": 0.1,
}


def related(seed: int, shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Tensors that share a part with those of every other seed."""
    found = {}
    for name, shape in shapes.items():
        shared = np.random.default_rng(len(name)).standard_normal(shape)
        own = np.random.default_rng([seed, len(name)]).standard_normal(shape)
        found[name] = torch.tensor(0.02 * (shared + 0.2 * own), dtype=torch.bfloat16)
    return found


def write(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Write tensors as a model folder without a model around them."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    assert np.prod(SHAPES["large.weight"]) > UNIT_ELEMENTS
    folder = tmp_path_factory.mktemp("models")
    return [write(folder / f"model-{number}", related(number, SHAPES)) for number in range(3)]


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """For methods that decompose whole matrices, which takes its time."""
    folder = tmp_path_factory.mktemp("small")
    shapes = {**SHAPES, "large.weight": (300, 500)}
    return [write(folder / f"model-{number}", related(number, shapes)) for number in range(3)]


def plan_of(method: str, models: list[Path], **changed: Any) -> Plan:
    info = METHODS[method].info
    count = min(info.max_inputs or 3, 3)
    per_model = {p.name: PARAMETERS[p.name] for p in info.parameters if p.per_model and p.name in PARAMETERS}
    shared = {p.name: PARAMETERS[p.name] for p in info.parameters if not p.per_model and p.name in PARAMETERS}
    recipe: dict[str, Any] = {
        "merge_method": method,
        "general": str(models[0]),
        "models": [{"model": str(m), "parameters": per_model} for m in models[info.first_model : count]],
        "parameters": shared,
        **({"base_model": str(models[0])} if info.base == "required" else {}),
        **changed,
    }
    return make_plan(parse_recipe(json.dumps(recipe)))


STREAMED = [name for name, method in METHODS.items() if method.info.information == "none"]


@pytest.mark.parametrize("method", STREAMED)
def test_bytes_do_not_depend_on_workers_and_can_be_derived(
    method: str, models: list[Path], small_models: list[Path], tmp_path: Path
) -> None:
    plan = plan_of(method, small_models if isinstance(METHODS[method], MatrixMethod) else models)
    first = execute(plan, tmp_path / "one", workers=1, sync=False)
    second = execute(plan, tmp_path / "three", workers=3, sync=False)
    assert first.weights_digest == second.weights_digest == weights_digest(tmp_path / "one")
    assert (first.realised, first.tensors) == (second.realised, second.tensors)
    assert [i.weights_digest for i in first.inputs] == [weights_digest(Path(i.model)) for i in first.inputs]
    # Without digests the loops read and write by themselves.
    third = execute(plan, tmp_path / "streamed", workers=2, sync=False, digests=False)
    assert weights_digest(tmp_path / "streamed") == first.weights_digest
    assert third.realised == pytest.approx(first.realised)
    written = (tmp_path / "one" / "model.safetensors").read_bytes()
    slot = plan.layout.slots["large.weight"]
    assert b"".join(derive(plan, "large.weight")) == written[slot.offset : slot.offset + slot.nbytes]


@pytest.mark.parametrize("method", STREAMED)
def test_the_twins_write_the_same(method: str, models: list[Path], small_models: list[Path], tmp_path: Path) -> None:
    """Elementwise bit for bit; sums over a tensor may differ in their last digits, and a rounding with them."""
    plan = plan_of(method, small_models if isinstance(METHODS[method], MatrixMethod) else models)
    execute(plan, tmp_path / "kernels", sync=False)
    execute(plan, tmp_path / "twins", backend=TorchBackend("cpu", 1 << 20), sync=False)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("kernels", "twins"))
    for name, tensor in ours.items():
        differ = int((tensor.view(torch.int16) != theirs[name].view(torch.int16)).sum())
        exact = not getattr(METHODS[method], "needs_gram", True) or method in ("ties", "dare_linear", "nearswap")
        assert differ <= (0 if exact and not isinstance(METHODS[method], MatrixMethod) else tensor.numel() // 100)


class StoppedError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    after: int, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of("slerp", models)
    whole = execute(plan, tmp_path / "whole", workers=1)
    run, done = UnitWork.run, []

    def stopping(self: UnitWork, start: int, count: int, desk: Any) -> Any:
        if len(done) == after:
            raise StoppedError
        done.append((self.job.name, start))
        return run(self, start, count, desk)

    with monkeypatch.context() as patch:
        patch.setattr(UnitWork, "run", stopping)
        with pytest.raises(StoppedError):
            execute(plan, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
    manifest = execute(plan, tmp_path / "out", workers=2)
    assert manifest.weights_digest == whole.weights_digest == weights_digest(tmp_path / "out")
    assert (manifest.realised, manifest.tensors, manifest.inputs) == (whole.realised, whole.tensors, whole.inputs)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "nearswap"])
def test_one_bad_value_is_named_and_nothing_is_published(
    bad: float, method: str, models: list[Path], tmp_path: Path
) -> None:
    tensors = load_file(models[1] / "model.safetensors")
    tensors["large.weight"][1099, 4095] = bad
    spoilt = write(tmp_path / "spoilt", tensors)
    plan = plan_of(method, [models[0], spoilt, models[2]])
    with pytest.raises(NumericError) as caught:
        execute(plan, tmp_path / "out")
    assert [problem.got for problem in caught.value.problems] == ["1 NaN or infinite values"]
    assert "spoilt, large.weight" in caught.value.problems[0].where
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spoilt"]
    execute(plan, tmp_path / "out", allow={"nonfinite"})
    assert not np.isfinite(float(load_file(tmp_path / "out" / "model.safetensors")["large.weight"][1099, 4095]))


def test_what_vanishes_on_the_cast_is_refused_by_name(models: list[Path], tmp_path: Path) -> None:
    small = [write(tmp_path / f"small-{number}", {"w": torch.full((8,), 2.0**-60)}) for number in range(2)]
    plan = plan_of("linear", small, out_dtype="float16")
    with pytest.raises(NumericError, match=r"w: The result must fit F16. Got 8 values that are not 0 and become 0"):
        execute(plan, tmp_path / "out")
    execute(plan, tmp_path / "out", allow={"underflow"})


def test_memory_stays_small_and_no_torch_is_imported(tmp_path: Path) -> None:
    """A pair with a tensor of 256 MB: the peak is that of a few buffers (the benchmark shows it for 1B and 8B)."""
    script = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3] / "benchmarks")!r})
from shapes import Shape, make_models
from suture.merge import execute
from suture.plan import make_plan
from suture.recipe import parse_recipe
models = make_models(Shape(1, 1024, 1024, 125_000, 64, 10**12), Path({str(tmp_path)!r}), 2)
lines = [f"{{{{model: {{m}}, parameters: {{{{weight: 0.5}}}}}}}}" for m in models]
recipe = f"merge_method: linear\\ngeneral: {{models[0]}}\\nmodels: [{{', '.join(lines)}}]\\n"
execute(make_plan(parse_recipe(recipe)), Path({str(tmp_path / "out")!r}), sync=False)
status = Path("/proc/self/status").read_text()
print(int(status.split("RssAnon:")[1].split()[0]) * 1024, "torch" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    anonymous, torch_imported = run.stdout.split()
    assert int(anonymous) < 400e6
    assert torch_imported == "False"


def test_many_tensors_cost_no_quadratic_step(tmp_path: Path) -> None:
    """Twice as many tiny tensors take about twice as many calls (a quadratic step would take four times as many)."""

    def calls(count: int) -> int:
        names = [f"model.layers.0.experts.{i}.weight" for i in range(count)]
        folders = [
            write(tmp_path / f"{count}-{number}", {name: torch.full((16,), float(number)) for name in names})
            for number in range(2)
        ]
        profile = cProfile.Profile()
        profile.enable()
        execute(plan_of("linear", folders), tmp_path / f"{count}-out", sync=False, workers=1)
        profile.disable()
        return sum(entry.callcount for entry in profile.getstats())

    calls(100)  # whatever happens once only
    few, many = calls(1000), calls(2000)
    assert many < 2.2 * few
    assert many < 1000 * 2000


@pytest.mark.parametrize("method", ["ties", "breadcrumbs", "della"])
def test_pivots_and_kept_masks_change_nothing(
    method: str, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def noted(name: str, loop: Any) -> Any:
        return lambda *given: (used.append(name), loop(*given))[1]

    monkeypatch.setattr("suture.merge.masked.settle", noted("pivots", settle))
    monkeypatch.setattr("suture.merge.masked.settle_by_sorting", noted("sorting", settle_by_sorting))
    monkeypatch.setattr("suture.kernels.unpack_kept", noted("masks", kernels.unpack_kept))
    plan = plan_of(method, models)
    execute(plan, tmp_path / "with", sync=False)
    assert set(used) == ({"masks"} if method == "della" else {"pivots", "sorting"})
    used.clear()
    monkeypatch.setattr("suture.merge.masked.MaskedLoops.passes", lambda loops: iter(()))
    monkeypatch.setattr("suture.merge.evaluation.MOST_REMEMBERED", 0)
    execute(plan, tmp_path / "without", sync=False)
    assert not used
    assert weights_digest(tmp_path / "with") == weights_digest(tmp_path / "without")
