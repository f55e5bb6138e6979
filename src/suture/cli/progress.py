"""Progress bars for the events of long work; one line a task where the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from suture.events import Advanced, Event, Failed, Finished, Started, listening

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def progress(console: Console | None = None) -> Iterator[None]:
    """Draw the events of the block on stderr."""
    from rich.console import Console as RichConsole

    shown = console or RichConsole(stderr=True)
    if not shown.is_terminal:
        with listening(_Lines(shown)):
            yield
        return
    with _bars(shown) as bars, listening(_Bars(bars)):
        yield


def _bars(console: Console) -> Any:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}", justify="right"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


class _Bars:
    """Listens, and keeps one rich bar for each task that runs."""

    def __init__(self, bars: Any) -> None:
        self.bars = bars
        self.ids: dict[str, Any] = {}
        self.units: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Failed):
            _warn(self.bars.console, event)
        elif isinstance(event, Started):
            self.units[event.name] = event.unit
            total = event.total or None
            self.ids[event.name] = self.bars.add_task(event.name, total=total, count="")
            self._count(event.name)
        elif event.name in self.ids:
            if isinstance(event, Advanced):
                self.bars.advance(self.ids[event.name], event.amount)
                self._count(event.name)
            else:
                self.bars.remove_task(self.ids.pop(event.name))

    def _count(self, name: str) -> None:
        task = next(task for task in self.bars.tasks if task.id == self.ids[name])
        self.bars.update(self.ids[name], count=_amount(task.completed, task.total, self.units[name]))


class _Lines:
    """Listens, and writes one line when a task starts and one when it ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            amount = f" ({_amount(None, event.total, event.unit)})" if event.total else ""
            self.began[event.name] = time.monotonic()
            self.console.print(f"{event.name}{amount}", highlight=False, markup=False)
        elif isinstance(event, Finished) and event.name in self.began:
            seconds = time.monotonic() - self.began.pop(event.name)
            self.console.print(f"{event.name}: ended after {seconds:.1f} s", highlight=False, markup=False)
        elif isinstance(event, Failed):
            _warn(self.console, event)


def _warn(console: Console, event: Failed) -> None:
    console.print(f"failed, {event.name}: {event.what}", style="bold red", highlight=False, markup=False)


def _amount(done: float | None, total: float | None, unit: str) -> str:
    from rich.filesize import decimal

    def text(value: float) -> str:
        return decimal(int(value)) if unit == "B" else f"{int(value)}"

    shown = [text(value) for value in (done, total) if value is not None]
    return "/".join(shown) + ("" if unit == "B" else f" {unit}")
