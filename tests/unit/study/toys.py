"""Toy kinds of steps, importable by the workers; every run of one leaves a line in ran.txt of the shared folder."""

from __future__ import annotations

import os
import signal
import time

from suture.errors import NumericError, Problem
from suture.events import track
from suture.study.graph import Context, Kind, Made


def _log(context: Context) -> None:
    with (context.shared / "ran.txt").open("a") as stream:
        stream.write(f"{context.parameters['label']}\n")


def number(context: Context) -> Made:
    _log(context)
    with track("digits", 3, "digits") as advance:
        advance(3)
    (context.folder / "value").write_text(str(context.parameters["value"]))
    return Made(str(context.parameters["value"]))


def total(context: Context) -> Made:
    _log(context)
    value = sum(int((path / "value").read_text()) for path in context.inputs.values())
    (context.folder / "value").write_text(str(value))
    return Made(str(value))


def elsewhere(context: Context) -> Made:
    _log(context)
    path = context.shared / "results" / "a" / "task"
    path.mkdir(parents=True, exist_ok=True)
    return Made("same", ("results/a/task",))


def sleeper(context: Context) -> Made:
    _log(context)
    (context.folder / "half").write_text("half")
    (context.shared / "sleeping").touch()
    while not (context.shared / "wake").exists():
        time.sleep(0.02)
    return Made("awake")


def refuses(context: Context) -> Made:
    raise NumericError(Problem("A loss must be finite.", "NaN", "step 3"))


def crashes(context: Context) -> Made:
    raise ValueError("patient text")


def dies(context: Context) -> Made:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


KINDS = {
    function.__name__: Kind(function.__name__, 1, function)
    for function in (number, total, elsewhere, sleeper, refuses, crashes, dies)
}
