"""How fast a core of this machine is, beside the one on which the rates of a study's cost were measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIZE, REPEATS = 768, 8
REFERENCE = 100e9  # operations a second of one thread, on the core of the rates (AVX2, fp32)


def core_speed() -> float:
    """Return this machine's speed relative to that core, by the best of a few matrix products on one thread (0.1 s)."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a, b = torch.ones(SIZE, SIZE), torch.ones(SIZE, SIZE)
        best = min(_seconds(a, b) for _ in range(REPEATS))
    finally:
        torch.set_num_threads(threads)
    return 2 * SIZE**3 / best / REFERENCE


def _seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    began = time.perf_counter()
    a @ b
    return time.perf_counter() - began
