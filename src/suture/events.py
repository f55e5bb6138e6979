"""What long work tells while it runs: started, advanced, finished, failed; whoever listens draws it.

Library code calls `track`; the command line listens and draws a progress bar; without a listener nothing happens.
An event carries a name, numbers and a unit, never any text of a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """Work called `name` begins; `total` units are expected (0 where unknown)."""

    name: str
    total: int
    unit: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """`amount` more units of `name` are done."""

    name: str
    amount: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Work called `name` ended, well or not."""

    name: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Work called `name` failed while other work goes on; `what` says how, without any text of a patient."""

    name: str
    what: str


Event = Started | Advanced | Finished | Failed
Listener = Callable[[Event], None]

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Deliver all events of this process to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(event: Event) -> None:
    """Deliver one event to every listener of this process."""
    for listener in tuple(_listeners):
        listener(event)


@contextmanager
def track(name: str, total: int, unit: str = "") -> Iterator[Callable[[int], None]]:
    """Tell that `name` runs while the block does; the yielded function advances it by an amount of `unit`."""
    tell(Started(name, total, unit))
    try:
        yield lambda amount: tell(Advanced(name, amount))
    finally:
        tell(Finished(name))
