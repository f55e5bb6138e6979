"""What planning learns from parents, kept for more recipes of the same parents: headers, vocabularies, structure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Known:
    """Results by what they depend on; a plan that is given one again reads no file that it has read before.

    Whoever keeps one takes the parents as unchanged; the engine notices weight files that are not. What raises is not
    kept.
    """

    def __init__(self) -> None:
        self._found: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave for `key` before, else what it gives now."""
        if key not in self._found:
            self._found[key] = make()
        found: T = self._found[key]
        return found
