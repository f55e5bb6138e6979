from __future__ import annotations

from collections.abc import Callable
from typing import Any

Merge = Callable[..., list[Any]]


def test_near_elements_are_taken_far_ones_fade(merge: Merge) -> None:
    # distances 0.5 (taken), 1 (taken), 2 (w = 1/2), 4 (w = 1/4)
    assert merge("nearswap", [[0, 0], [0, 10]], [[0.5, -1], [2, 6]], t=1.0) == [[0.5, -1], [1, 9]]
