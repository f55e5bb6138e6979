"""Rows from other models in the loops over stored bits: what the single steps give, whole stretches read as one."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from suture.checkpoint.header import TensorInfo
from suture.checkpoint.reader import TensorReader
from suture.checkpoint.token_rows import ZERO, RowMap, Rows, identity_map
from suture.kernels.streams import BLOCK, IN_MEMORY
from suture.merge.backend import KernelBackend
from suture.merge.buffers import Desk
from suture.merge.evaluation import Evaluation
from suture.merge.streaming import reader_lookup
from suture.merge.unit import FUSED_BLOCK, UnitWork
from suture.plan import Plan, make_plan
from suture.recipe import parse_recipe

ROWS, WIDTH = 900, 1000
METHODS: dict[str, dict[str, Any]] = {
    "linear": {"weight": 0.4},
    "slerp": {"t": 0.3},
    "ties": {"weight": 0.4, "density": 0.5},
    "dare_linear": {"weight": 0.4, "density": 0.5},
}


class Steps(KernelBackend):
    """Single steps only."""

    fused = False


class Collected:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.data = bytearray(2 * ROWS * WIDTH)

    def take(self, name: str, start: int, data: memoryview) -> None:
        self.data[start : start + len(data)] = data

    def room(self, name: str, start: int, nbytes: int) -> None:
        return None

    def descriptor(self, name: str) -> int:
        return IN_MEMORY

    def offset(self, name: str) -> int:
        return 0


def plan_of(method: str, folder: Path) -> Plan:
    for number in range(2):
        values = np.random.default_rng(number).standard_normal((ROWS, WIDTH)) * 0.02
        (folder / str(number)).mkdir()
        (folder / str(number) / "config.json").write_text(json.dumps({"model_type": "llama"}))
        save_file({"w": torch.tensor(values, dtype=torch.bfloat16)}, folder / str(number) / "model.safetensors")
    base = {"base_model": str(folder / "0")} if method != "linear" else {}
    listed = [{"model": str(folder / str(n))} for n in range(2)][bool(base) :]
    recipe = {"merge_method": method, "general": str(folder / "0"), "models": listed, "parameters": METHODS[method]}
    return make_plan(parse_recipe(json.dumps({**recipe, **base})))


def some_rows() -> RowMap:
    """The second model's rows, but for one of zeros, two of the first model, and the last ones in another order."""
    found = identity_map(1, ROWS).with_rows({5: (ZERO, 0), 300: (0, 300), 301: (0, 7)})
    found.row[890:] = found.row[890:][::-1].copy()
    return found


@pytest.mark.parametrize("method", METHODS)
def test_the_loops_give_the_bytes_of_single_steps(method: str, tmp_path: Path) -> None:
    plan = plan_of(method, tmp_path)
    job = plan.by_name["w"]
    given = Rows(job.inputs, some_rows(), "rows")
    assert given.only_stored
    job = replace(job, inputs=(job.inputs[0], given))
    with ExitStack() as stack:
        readers = [stack.enter_context(TensorReader(checkpoint)) for checkpoint in plan.checkpoints]
        made = []
        for backend in (KernelBackend(), Steps()):
            evaluation, desk, sink = Evaluation(job, reader_lookup(readers), backend, 3), Desk(FUSED_BLOCK), Collected()
            assert evaluation.stored_bf16 == backend.fused
            evaluation.run_passes(desk)
            UnitWork(evaluation, sink, rounding="stochastic", seed=3, digests=False).run(0, ROWS * WIDTH, desk)
            made.append(bytes(sink.data))
    assert made[0] == made[1]


def test_a_stretch_of_one_model_is_read_as_one(tmp_path: Path) -> None:
    plan = plan_of("linear", tmp_path)
    job = plan.by_name["w"]
    job = replace(job, inputs=(job.inputs[0], Rows(job.inputs, some_rows(), "rows")))
    with ExitStack() as stack:
        readers = [stack.enter_context(TensorReader(checkpoint)) for checkpoint in plan.checkpoints]
        evaluation = Evaluation(job, reader_lookup(readers), KernelBackend(), 3)
        whole = evaluation.stream(6 * WIDTH, BLOCK, Desk(FUSED_BLOCK))
        assert whole is not None
        info = plan.by_name["w"].inputs[1]
        assert isinstance(info, TensorInfo)
        assert whole.offsets[1] == info.offset + 2 * 6 * WIDTH
        assert evaluation.stream(4 * WIDTH, 2 * WIDTH, Desk(FUSED_BLOCK)) is None
        assert evaluation.stream(5 * WIDTH, WIDTH, Desk(FUSED_BLOCK)) is None


def test_a_mean_is_not_stored(tmp_path: Path) -> None:
    inputs = plan_of("linear", tmp_path).by_name["w"].inputs
    means = identity_map(0, ROWS).with_rows({4: (-2, 0)})
    assert not Rows(inputs, RowMap(0, means.model, means.row, {4: ((0, 4), (1, 4))}), "means").only_stored
