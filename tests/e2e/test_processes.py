"""Two processes train as one does: the same losses, the same weights, one voice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from suture.data.records import Record, write_items
from suture.testing.command import run_command
from suture.testing.tiny import CORPUS, tiny_model

HERE = Path(__file__).parent
CONFIGURATION = HERE.parents[1] / "docs" / "examples" / "accelerate.yaml"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def launched(*words: object, configuration: Path = CONFIGURATION) -> subprocess.CompletedProcess[str]:
    """Run a program in two processes as accelerate starts them."""
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", configuration]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    arguments = [str(word) for word in (*command, "--main_process_port", "0", *words)]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=600, check=False)


def _load(path: Path) -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_processes_train_as_one(start: Path, tmp_path: Path) -> None:
    done = launched(HERE / "two_processes.py", start, tmp_path)
    assert done.returncode == 0, done.stderr
    said: list[dict[str, Any]] = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [one["rank"] for one in said] == [0, 1]
    assert said[0]["cases"] == said[1]["cases"]
    alone = _load(HERE / "two_processes.py")
    for name in alone.CASES:
        seen, weights = alone.trained(start, name)
        together = said[0]["cases"][name]
        assert together["best"] == seen["best"]
        assert together["losses"] == pytest.approx(seen["losses"], rel=1e-4)
        for (step, loss), (other, value) in zip(together["seen"], seen["seen"], strict=True):
            assert step == other
            assert loss == pytest.approx(value, rel=1e-4)
        kept = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        assert all(torch.allclose(kept[key], weights[key], atol=1e-4) for key in weights), name
    assert len(said[0]["cases"]["adapter"]["losses"]) < 9  # early stopping ended it, on both
    assert all(one["resumed"] for one in said)
    assert [one["mean"] for one in said] == [0.5, 0.5]
    first, second = (one["errors"] for one in said)
    assert first == [
        ["It must be. Got nothing on 1.", 3, False],
        ["It must be. Got nothing on 0.", 3, False],
        ["ZeroDivisionError", 1, False],
    ]
    assert [told for *_, told in second] == [True] * 3
    assert "ZeroDivisionError on another process" in second[2][0]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.jsonl"
    made = [Record(f"r{n}", "made", f"e{n}", "s", text, "Noted. " * (1 + n % 3), "train", "none")
            for n, text in enumerate(CORPUS * 3)]  # fmt: skip
    write_items(path, made)
    return path


QUICK = ("--steps", 4, "--batch", 4, "--length", 256)


def test_the_command_in_two_processes_writes_once_and_the_same(start: Path, records: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    alone, both = tmp_path / "alone", tmp_path / "both"
    assert run_command("adapt", start, alone, "--data", records, *QUICK) == 0
    done = launched("-m", "suture", "adapt", start, both, "--data", records, *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("adapted on 9 records") == 1
    assert done.stderr.count("training (4 steps)") == 1
    one, other = (load_file(path / "adapter_model.safetensors") for path in (alone, both))
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)
    said = [json.loads((path / "training.json").read_text()) for path in (alone, both)]
    assert [note.pop("processes") for note in said] == [1, 2]
    assert said[1]["loss"] == pytest.approx(said[0]["loss"], rel=1e-4)
    for note in said:
        del note["loss"], note["seconds"]
    assert said[0] == said[1]
    assert not (tmp_path / "both.training").exists()


def test_what_ends_one_process_ends_both_and_is_said_once(start: Path, records: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = launched("-m", "suture", "adapt", start, out, "--data", records, *QUICK, "--learning-rate", 1e30)
    assert done.returncode != 0
    assert done.stderr.count("The loss must be finite") == 1
    assert "exitcode  : 7" in done.stderr  # the launcher's own is 1, whatever ended its processes
    assert not out.exists()
