from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from toys import KINDS

from suture.errors import InterruptedRunError, NumericError, ResourceError
from suture.events import Event, Failed, Finished, Started, listening
from suture.study.graph import Graph, Step
from suture.study.runner import StepCrashedError, run
from suture.study.store import Store


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
    with pytest.raises(StepCrashedError, match=r"step x: ValueError at toys.py:\d+") as caught:
        run(Graph([Step("x", "crashes")]), KINDS, Store(tmp_path))
    assert "patient" not in str(caught.value)
    assert "patient text" in caught.value.detail


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
