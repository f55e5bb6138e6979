"""Toy kinds of steps, importable by the workers; every run of one leaves a line in ran.txt of the shared folder."""

from __future__ import annotations

import errno
import os
import signal
import time

from suture.errors import NumericError, Problem
from suture.events import track
from suture.study.graph import Context, Kind


def _log(context: Context) -> None:
    with (context.shared / "ran.txt").open("a") as stream:
        stream.write(f"{context.parameters['label']}\n")


def number(context: Context) -> str:
    _log(context)
    with track("digits", 3, "digits") as advance:
        advance(3)
    (context.folder / "value").write_text(str(context.parameters["value"]))
    return str(context.parameters["value"])


def total(context: Context) -> str:
    _log(context)
    value = sum(int((path / "value").read_text()) for path in context.inputs.values())
    (context.folder / "value").write_text(str(value))
    return str(value)


def sleeper(context: Context) -> str:
    _log(context)
    (context.folder / "half").write_text("half")
    (context.shared / "sleeping").touch()
    while not (context.shared / "wake").exists():
        time.sleep(0.02)
    return "awake"


def refuses(context: Context) -> str:
    raise NumericError(Problem("A loss must be finite.", "NaN", "step 3"))


def crashes(context: Context) -> str:
    try:
        raise KeyError("patient name")
    except KeyError as error:
        raise ValueError("patient text") from error


def fills(context: Context) -> str:
    raise OSError(errno.ENOSPC, "No space left on device", "patient.txt")


def dies(context: Context) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


KINDS = {
    function.__name__: Kind(function.__name__, 1, function)
    for function in (number, total, sleeper, refuses, crashes, fills, dies)
}
