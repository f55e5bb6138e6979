"""Faults 17, 20 and 22 with the engine itself: killed, failed and changed runs of real plans."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from driver import forked, journalled, killed_at, passed
from safetensors.numpy import save_file

from suture.checkpoint import failpoint, layout, staging
from suture.checkpoint.digest import weights_digest
from suture.checkpoint.failpoint import FAILPOINTS
from suture.checkpoint.manifest import Manifest
from suture.checkpoint.writer import CheckpointWriter
from suture.errors import BadInputError, OutputExistsError, ResourceError
from suture.merge import execute, streaming
from suture.plan import Plan, make_plan
from suture.recipe import parse_recipe

SHAPES = {"wide.weight": (1030, 4096), "a.weight": (60, 70), "b.weight": (8, 9), "c.bias": (100,), "d.bias": (7,)}
METHODS = {
    "linear": {"models": 2, "parameters": {"weight": 0.3}},
    "slerp": {"models": 1, "parameters": {"t": 0.3}},
    "dare_linear": {"models": 1, "parameters": {"weight": 0.6, "density": 0.5}},
}


def model(folder: Path, seed: int) -> Path:
    """A model folder of five tensors, the first of two units."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    rng = np.random.default_rng(seed)
    tensors = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in SHAPES.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [model(folder / "one", 1), model(folder / "two", 2)]


def plan_of(method: str, pair: list[Path], **changed: Any) -> Plan:
    """A plan in which every unit is a piece of the journal."""
    listed = pair[2 - METHODS[method]["models"] :]  # type: ignore[operator]
    recipe = {
        "merge_method": method,
        "general": str(pair[0]),
        "models": [{"model": str(path)} for path in listed],
        "parameters": METHODS[method]["parameters"],
        **({"base_model": str(pair[0])} if len(listed) == 1 else {}),
        **changed,
    }
    with mock.patch.object(layout, "PIECE_BYTES", 1):
        plan = make_plan(parse_recipe(json.dumps(recipe)))
    assert len(plan.layout.pieces) == len(plan.layout.units) == 6
    return plan


def without_time(manifest: Manifest) -> dict[str, Any]:
    return {**asdict(manifest), "seconds": None}


@contextmanager
def units_done() -> Iterator[list[int]]:
    """Yield the list of the units that are worked on in the block."""
    done: list[int] = []
    real = CheckpointWriter.done

    def counted(self: CheckpointWriter, unit: int, record: dict[str, Any]) -> None:
        done.append(unit)
        real(self, unit, record)

    with mock.patch.object(CheckpointWriter, "done", counted):
        yield done


def kill(plan: Plan, target: Path, name: str, occurrence: int, workers: int) -> int:
    def run() -> None:
        with killed_at(name, occurrence):
            execute(plan, target, workers=workers)

    return forked(run)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_merge_goes_on_to_the_same_bytes(method: str, workers: int, pair: list[Path], tmp_path: Path) -> None:
    """Killed at the first, a middle and the last passage of every failpoint."""
    plan = plan_of(method, pair)
    wholes: list[Manifest] = []
    counts = passed(lambda: wholes.append(execute(plan, tmp_path / "whole" / "out", workers=1)))
    whole = without_time(wholes[0])
    kills = 0
    for name in FAILPOINTS:
        for occurrence in sorted({0, counts[name] // 2, counts[name] - 1}):
            target = tmp_path / f"{name}-{occurrence}" / "out"
            code = kill(plan, target, name, occurrence, workers)
            assert code == -9 or (code == 0 and occurrence)  # the syncs of several pieces may fall together
            kills += code == -9
            if code == 0 or name == "after-sweep":
                assert weights_digest(target) == whole["weights_digest"]
                continue
            assert target.exists() == (name in ("after-rename", "after-parent-sync"))
            kept = journalled(target)
            with units_done() as redone:
                manifest = execute(plan, target, workers=2)
            assert sorted(redone) == sorted(set(range(6)) - kept)
            assert without_time(manifest) == whole
            assert weights_digest(target) == whole["weights_digest"]
            assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert kills >= len(FAILPOINTS)


@pytest.mark.parametrize("call", ["preadv", "pwrite", "fsync", "fdatasync", "rename"])
def test_an_error_of_any_read_write_or_sync_is_named_and_the_merge_goes_on(
    call: str, pair: list[Path], tmp_path: Path
) -> None:
    plan = plan_of("slerp", pair)
    whole = execute(plan, tmp_path / "whole" / "out").weights_digest
    expected = BadInputError if call == "preadv" else ResourceError
    real, nth = getattr(os, call), 0
    made = [0]
    while True:
        made[0] = 0

        def shim(*words: Any, nth: int = nth) -> Any:
            made[0] += 1
            if made[0] == nth + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*words)

        target = tmp_path / str(nth) / "out"
        with mock.patch.object(os, call, shim):
            try:
                execute(plan, target, workers=2)
            except expected as error:
                assert "input/output error" in str(error)  # noqa: PT017
            else:
                break
        if not target.exists():
            kept = journalled(target)
            with units_done() as redone:
                execute(plan, target, workers=2)
            assert not kept.intersection(redone)
        assert weights_digest(target) == whole
        nth += 1 if made[0] < 40 else 7
    assert nth >= {"preadv": 10, "pwrite": 10, "fsync": 10, "fdatasync": 2, "rename": 1}[call]


@pytest.fixture
def begun(pair: list[Path], tmp_path: Path) -> tuple[list[Path], Path]:
    """Own copies of two parents, and a target beside which finished pieces of their merge lie."""
    own = [model(tmp_path / "one", 1), model(tmp_path / "two", 2)]
    target = tmp_path / "out"
    assert kill(plan_of("linear", own), target, "after-journal-line", 0, workers=1) == -9
    assert journalled(target)
    return own, target


def refused(plan: Plan, target: Path) -> str:
    before = journalled(target)
    with pytest.raises(OutputExistsError, match="--restart") as caught:
        execute(plan, target)
    assert journalled(target) == before
    assert not target.exists()
    return str(caught.value)


def restarts(plan: Plan, target: Path) -> None:
    with units_done() as done:
        execute(plan, target, restart=True)
    assert len(done) == 6


def test_ctrl_c_ends_with_code_9_and_the_same_command_goes_on(
    pair: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(plan_of("linear", pair).recipe.to_yaml())
    words = ["merge", str(recipe), str(tmp_path / "out"), "--workers", "2"]

    def run(interrupt: bool) -> None:
        from suture.cli import main

        def hook(name: str) -> None:
            if interrupt and name == "after-journal-line":
                failpoint.set_hook(None)
                os.kill(os.getpid(), signal.SIGINT)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        failpoint.set_hook(hook)
        try:
            with mock.patch.object(layout, "PIECE_BYTES", 1):
                main(words)
        except SystemExit as ended:
            os._exit(int(ended.code or 0))

    assert forked(lambda: run(interrupt=True)) == 9
    assert "Run the same command again" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    assert journalled(tmp_path / "out")
    assert forked(lambda: run(interrupt=False)) == 0
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_the_same_run_goes_on(begun: tuple[list[Path], Path]) -> None:
    own, target = begun
    kept = journalled(target)
    with units_done() as done:
        execute(plan_of("linear", own), target)
    assert set(done) == set(range(6)) - kept


@pytest.mark.parametrize("changed", [{"parameters": {"weight": 0.4}}, {"seed": 1}, {"rounding": "nearest"}])
def test_a_changed_recipe_is_refused_by_name(begun: tuple[list[Path], Path], changed: dict[str, Any]) -> None:
    own, target = begun
    plan = plan_of("linear", own, **changed)
    assert "another recipe" in refused(plan, target)
    restarts(plan, target)


def test_another_output_dtype_is_refused_by_name(begun: tuple[list[Path], Path]) -> None:
    own, target = begun
    assert "another" in refused(plan_of("linear", own, out_dtype="bfloat16"), target)


def test_a_changed_parent_is_refused_by_name(begun: tuple[list[Path], Path]) -> None:
    own, target = begun
    model(own[1], 3)
    plan = plan_of("linear", own)
    assert "parent" in refused(plan, target)
    restarts(plan, target)


def test_another_version_is_refused_by_name(begun: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    own, target = begun
    monkeypatch.setattr(staging, "__version__", "99.0")
    monkeypatch.setattr(streaming, "__version__", "99.0")
    plan = plan_of("linear", own)
    assert "another version of Suture (" in refused(plan, target)
    restarts(plan, target)
