"""A run that is killed goes on where it was, to the same rows; parts of another key are never read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suture.data.documents import of_section
from suture.data.prepare import load
from suture.errors import OutputExistsError
from suture.evaluate import run
from suture.evaluate.engine import Engine
from suture.evaluate.items import ItemRow, read_meta, read_rows
from suture.evaluate.parts import Parts, alone
from suture.evaluate.run import Workload, evaluate_model
from suture.tasks.suites import SUITE_TASKS
from suture.testing.tiny import tiny_model

ROWS = [ItemRow("d", "t", "i", "c", "p", response="text", scores={"a": 1.0})]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "one", seed=1)


def work(official: Path) -> list[Workload]:
    loaded = [
        Workload(replace(SUITE_TASKS[name], max_new_tokens=8), of_section(load(name, official), ""))
        for name in ("mts_dialog", "meqsum")
    ]
    return [*loaded, Workload(SUITE_TASKS["medqa"], load("medqa", official).items)]


def test_parts_come_back_under_their_key_only(tmp_path: Path) -> None:
    Parts(tmp_path, {"weights": "a"}).write(0, ROWS)
    assert Parts(tmp_path, {"weights": "a"}).read(0) == ROWS
    assert Parts(tmp_path, {"weights": "a"}).read(1) is None
    assert Parts(tmp_path, {"weights": "b"}).read(0) is None
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {0o600}
    Parts(tmp_path, {"weights": "b"}).remove()
    assert list(tmp_path.glob("parts-*")) == []


def test_parts_whose_key_only_begins_alike_are_dropped(tmp_path: Path) -> None:
    parts = Parts(tmp_path, {"weights": "a"})
    parts.write(0, ROWS)
    (parts.folder / "key.json").write_text("{}")  # as if two keys shared the start of their digests
    assert Parts(tmp_path, {"weights": "a"}).read(0) is None


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(OutputExistsError, match="One run at a time"), alone(tmp_path):
        pass


def test_what_was_answered_is_not_answered_again(
    model: Path, official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate_model(model, work(official), tmp_path / "whole", digest="a" * 64, batch_size=2)
    answered: list[int] = []
    generate = Engine.generate

    def counted(self: Engine, prompts: Any, **settings: Any) -> Any:
        if len(answered) == 2:
            raise KeyboardInterrupt
        answered.append(len(prompts))
        return generate(self, prompts, **settings)

    monkeypatch.setattr(Engine, "generate", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_model(model, work(official), tmp_path / "again", digest="a" * 64, batch_size=2)
    monkeypatch.setattr(Engine, "generate", generate)
    more: list[int] = []
    monkeypatch.setattr(
        Engine, "generate", lambda self, prompts, **s: (more.append(len(prompts)), generate(self, prompts, **s))[1]
    )
    again = evaluate_model(model, work(official), tmp_path / "again", digest="a" * 64, batch_size=2)
    assert sum(answered) + sum(more) == 5 + 3
    assert read_meta(again["mts_dialog"])["resumed"] == 4
    for name, folder in whole.items():
        first, second = ([replace(row, seconds=0.0) for row in read_rows(place)] for place in (folder, again[name]))
        assert repr(first) == repr(second)  # NaN is not equal to itself
        assert not list(again[name].glob("parts-*"))


def test_parts_of_other_weights_tokenizer_or_template_are_not_read(
    model: Path, official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_one = work(official)[:1]

    def stopped(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    write = run.write_rows
    monkeypatch.setattr(run, "write_rows", stopped)
    with pytest.raises(KeyboardInterrupt):  # every part is kept, the task is not finished
        evaluate_model(model, load_one, tmp_path, digest="a" * 64)
    monkeypatch.setattr(run, "write_rows", write)
    other = evaluate_model(model, load_one, tmp_path, digest="a" * 12 + "b" * 52)["mts_dialog"]
    assert read_meta(other)["resumed"] == 0


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from suture.data.documents import of_section
from suture.data.prepare import load
from suture.evaluate import run
from suture.evaluate.run import Workload, evaluate_model
from suture.evaluate.parts import Parts
from suture.tasks.suites import SUITE_TASKS
write = Parts.write
def slow(self, number, rows):
    import time
    write(self, number, rows)
    print("part", flush=True)
    time.sleep(60)
Parts.write = slow
task = SUITE_TASKS["medqa"]
evaluate_model(Path({model!r}), [Workload(task, load("medqa", Path({data!r})).items)], Path({out!r}), digest="a" * 64)
"""


def test_kill_9_loses_nothing_that_was_finished(model: Path, official: Path, tmp_path: Path) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parent), model=str(model), data=str(official), out=str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ.copy()
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"part"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    began = time.perf_counter()
    folder = evaluate_model(model, work(official)[2:], tmp_path, digest="a" * 64)["medqa"]
    assert read_meta(folder)["resumed"] == len(read_rows(folder)) == 4
    assert time.perf_counter() - began < 60
