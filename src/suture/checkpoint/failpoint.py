"""Named places in the write protocol at which a test may kill, cut or fail the run; without a hook they do nothing."""

from __future__ import annotations

from collections.abc import Callable

FAILPOINTS = (
    "staged",  # the files of the weights stand, of full size, with their headers
    "journalled",  # the journal stands with its header
    "unit-done",  # a unit is in the page cache
    "before-piece-sync",
    "after-piece-sync",
    "after-journal-line",
    "before-small-files",
    "before-last-sync",
    "before-rename",
    "after-rename",
    "after-parent-sync",
    "after-sweep",  # staging folder and journal are gone
)

_hook: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Call the hook with `name`, one of FAILPOINTS, where a test has set one."""
    if _hook is not None:
        _hook(name)


def set_hook(hook: Callable[[str], None] | None) -> None:
    """Set (None: remove) what every failpoint of this process calls. For tests."""
    global _hook
    _hook = hook
