from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from toys import KINDS

from suture.errors import InterruptedRunError, NumericError, ResourceError
from suture.events import Event, Failed, Finished, Started, listening
from suture.study.executor import Ended, Message, Told
from suture.study.executor import Failed as Fell
from suture.study.graph import Context, Graph, Kind, Step
from suture.study.runner import StepCrashedError, run
from suture.study.store import Done, Store, on_disk


def _number(name: str, value: int) -> Step:
    return Step(name, "number", {"value": value, "label": name})


def _total(name: str, *sources: str) -> Step:
    return Step(name, "total", {"label": "total"}, {source: source for source in sources})


def _ran(folder: Path) -> Counter[str]:
    path = folder / "ran.txt"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    graph = Graph([_number("a", 1), _number("b", 2), _total("sum", "a", "b")])
    store = Store(tmp_path)
    found = run(graph, KINDS, store)
    assert (store.folder(graph["sum"], found["sum"].key) / "value").read_text() == "3"
    assert found["sum"].peak_memory > 1 << 20
    assert run(graph, KINDS, store) == found
    assert _ran(tmp_path) == {"a": 1, "b": 1, "total": 1}


def test_equal_outputs_share_what_follows(tmp_path: Path) -> None:
    left, right = Step("l", "total", {"label": "total"}, {"x": "a"}), Step("r", "total", {"label": "total"}, {"x": "b"})
    run(Graph([_number("a", 7), _number("b", 7), left, right]), KINDS, Store(tmp_path))
    assert _ran(tmp_path) == {"a": 1, "b": 1, "total": 1}


def test_a_change_that_leaves_the_output_equal_stops_there(tmp_path: Path) -> None:
    run(Graph([_number("a", 1), _number("b", 2), _total("sum", "a", "b")]), KINDS, Store(tmp_path))
    renamed = Step("a", "number", {"value": 1, "label": "other"})
    run(Graph([renamed, _number("b", 2), _total("sum", "a", "b")]), KINDS, Store(tmp_path))
    assert _ran(tmp_path) == {"a": 1, "other": 1, "b": 1, "total": 1}


def test_what_does_not_need_a_failing_step_runs_on(tmp_path: Path) -> None:
    steps = [Step("bad", "refuses"), _total("lost", "bad"), _number("a", 1), _total("sum", "a")]
    told: list[Event] = []
    with listening(told.append), pytest.raises(NumericError) as caught:
        run(Graph(steps), KINDS, Store(tmp_path), workers=1)
    assert [problem.where for problem in caught.value.problems] == ["step bad, step 3", ""]
    assert "Missing: lost." in str(caught.value)
    assert Failed("bad", "step 3: A loss must be finite. Got NaN.") in told
    assert _ran(tmp_path) == {"a": 1, "total": 1}
    assert not list((tmp_path / "steps").glob("refuses-*"))


def test_an_unforeseen_error_is_told_by_class_and_place_without_its_text(tmp_path: Path) -> None:
    with pytest.raises(StepCrashedError, match=r"step x: A step must end. Got ValueError at toys.py:\d+") as caught:
        run(Graph([Step("x", "crashes")]), KINDS, Store(tmp_path))
    assert "patient" not in str(caught.value)
    assert "toys.py, line" in caught.value.detail
    assert "KeyError" in caught.value.detail  # what it was raised in the course of
    assert "patient" not in caught.value.detail
    kept = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in kept if "patient" in text]


def test_every_failure_is_named_and_an_unforeseen_one_is_the_gravest(tmp_path: Path) -> None:
    steps = [Step("bad", "refuses"), Step("x", "crashes"), Step("y", "crashes", {"other": 1}), _number("a", 1)]
    with pytest.raises(StepCrashedError) as caught:
        run(Graph(steps), KINDS, Store(tmp_path), workers=1)
    assert {problem.where.partition(",")[0] for problem in caught.value.problems} == {"step bad", "step x", "step y"}
    assert caught.value.detail.count("ValueError, raised by") == 2
    assert _ran(tmp_path) == {"a": 1}


def test_a_full_disk_in_a_step_is_named_and_the_others_run_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    graph = Graph([Step("full", "fills"), _number("a", 1), _total("sum", "a")])
    with pytest.raises(ResourceError, match=r"step full, .*: The disk must take what a step writes"):
        run(graph, KINDS, store, workers=1)
    assert _ran(tmp_path) == {"a": 1, "total": 1}


def test_a_full_disk_where_steps_are_put_in_place_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, store = Graph([_number("a", 1), _number("b", 2), _total("sum", "a", "b")]), Store(tmp_path)
    commit = Store.commit

    def full(self: Store, step: Step, staging: Path, done: Done) -> None:
        if step.name == "sum":
            with on_disk(self.root):
                raise OSError(errno.ENOSPC, "No space left on device", "patient.txt")
        commit(self, step, staging, done)

    monkeypatch.setattr(Store, "commit", full)
    with pytest.raises(ResourceError, match=r"no space left on device, .* bytes free") as caught:
        run(graph, KINDS, store)
    assert "patient" not in str(caught.value)
    monkeypatch.setattr(Store, "commit", commit)
    run(graph, KINDS, store)
    assert _ran(tmp_path) == {"a": 1, "b": 1, "total": 2}


class Here:
    """An executor without processes: steps run when they are asked for, the last submitted first."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, Kind, Context]] = []
        self.most = 0
        self.cancelled = 0

    def submit(self, name: str, kind: Kind, context: Context) -> None:
        self.waiting.append((name, kind, context))
        self.most = max(self.most, len(self.waiting))

    def gather(self) -> Sequence[tuple[str, Message]]:
        name, kind, context = self.waiting.pop()
        try:
            return [(name, Told(Started("inside", 1, ""))), (name, Ended(kind.run(context), 0.5, 1))]
        except NumericError as error:
            return [(name, Fell(error))]

    def cancel(self) -> None:
        self.cancelled += 1
        self.waiting.clear()


def test_the_scheduler_needs_no_more_than_three_methods(tmp_path: Path) -> None:
    steps = [_number("a", 7), _number("b", 7), _total("l", "a"), Step("bad", "refuses"), _total("lost", "bad")]
    executor, told = Here(), list[Event]()
    with listening(told.append), pytest.raises(NumericError, match="Missing: lost"):
        run(Graph(steps), KINDS, Store(tmp_path), workers=2, executor=executor)
    assert _ran(tmp_path) == {"a": 1, "b": 1, "total": 1}
    assert (executor.most, executor.cancelled) == (2, 1)
    assert Started("a: inside", 1, "") in told


def test_an_interrupt_cancels_what_runs(tmp_path: Path) -> None:
    class Interrupted(Here):
        def gather(self) -> Sequence[tuple[str, Message]]:
            raise KeyboardInterrupt

    executor = Interrupted()
    with pytest.raises(InterruptedRunError, match="1 of 1 steps to go"):
        run(Graph([_number("a", 1)]), KINDS, Store(tmp_path), executor=executor)
    assert (executor.cancelled, executor.waiting) == (1, [])


def test_a_worker_that_dies_fails_its_step_alone(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="code -9"):
        run(Graph([Step("x", "dies"), _number("a", 1), _total("sum", "a")]), KINDS, Store(tmp_path), workers=1)
    assert _ran(tmp_path) == {"a": 1, "total": 1}


def test_events_of_the_workers_are_retold_under_the_name_of_the_step(tmp_path: Path) -> None:
    told: list[Event] = []
    with listening(told.append):
        run(Graph([_number("a", 1)]), KINDS, Store(tmp_path))
    assert Started("a: digits", 3, "digits") in told
    assert told.index(Started("a", 0, "")) < told.index(Started("a: digits", 3, "digits")) < told.index(Finished("a"))


PROGRAM = """
import signal
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from toys import KINDS
from suture.errors import InterruptedRunError
from suture.study.graph import Graph, Step
from suture.study.runner import run
from suture.study.store import Store
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
    first = Step("first", "number", {"value": 1, "label": "first"})
    graph = Graph([first, Step("sleep", "sleeper", {"label": "sleep"}, {"x": "first"})])
    try:
        run(graph, KINDS, Store(Path(sys.argv[2])), workers=1)
    except InterruptedRunError as error:
        print(error)
        sys.exit(error.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 9), (signal.SIGINT, 9), (signal.SIGKILL, -9)])
def test_a_stopped_run_goes_on_and_computes_nothing_twice(tmp_path: Path, number: int, code: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    out = tmp_path / "out"
    command = [sys.executable, str(program), str(Path(__file__).parent), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (out / "sleeping").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, number)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == code
    assert ("1 of 2 steps to go" in text) == (code == InterruptedRunError.exit_code)
    (out / "wake").touch()
    again = subprocess.run(command, check=False, timeout=120)
    assert again.returncode == 0
    assert _ran(out) == {"first": 1, "sleep": 2}
    assert not list((out / "steps").glob(".*"))
