from __future__ import annotations

import io
import re
import time

from rich.console import Console

from suture.cli.progress import progress
from suture.events import Advanced, Failed, Finished, tell, track


def _drawn(*, terminal: bool) -> str:
    stream = io.StringIO()
    with progress(Console(file=stream, force_terminal=terminal, width=100)):
        with track("read", 2_000_000, "B") as read, track("step: train", 4, "steps") as train:
            read(1_000_000)
            train(2)
            time.sleep(0.3)  # the bars are drawn ten times a second
        tell(Advanced("unknown", 1))
        tell(Finished("unknown too"))
        tell(Failed("step", "a loss must be finite"))
    return stream.getvalue()


def test_without_a_terminal_a_task_is_one_line_at_its_start_and_one_at_its_end() -> None:
    lines = _drawn(terminal=False).splitlines()
    assert lines[:2] == ["read (2.0 MB)", "step: train (4 steps)"]
    assert re.fullmatch(r"step: train: ended after \d\.\d s", lines[2])
    assert re.fullmatch(r"read: ended after \d\.\d s", lines[3])
    assert lines[4:] == ["failed, step: a loss must be finite"]


def test_a_terminal_gets_a_bar_for_each_task_that_runs() -> None:
    drawn = _drawn(terminal=True)
    assert "1.0 MB/2.0 MB" in drawn
    assert "2/4 steps" in drawn
    assert "failed, step: a loss must be finite" in drawn
