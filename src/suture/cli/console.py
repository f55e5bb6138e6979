"""The console on stdout that the verbs share."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

NARROWEST = 100


@cache
def console() -> Console:
    """Return the console; tables keep 100 columns where the output is a file or a narrow pipe."""
    from rich.console import Console as RichConsole

    found = RichConsole()
    return found if found.is_terminal else RichConsole(width=max(found.width, NARROWEST))
