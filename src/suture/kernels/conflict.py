"""How often two task vectors pull an element in opposite directions."""

from __future__ import annotations

import numpy as np

from suture.kernels.compile import Floats, compiled


@compiled
def sign_conflicts(base: Floats, x: Floats, y: Floats) -> tuple[int, int]:
    """Elements where x - base and y - base differ in sign, and elements where neither is 0."""
    opposed, both = 0, 0
    for i in range(base.size):
        p, q = np.float32(x[i] - base[i]), np.float32(y[i] - base[i])
        present = p != np.float32(0) and q != np.float32(0)
        both += present
        opposed += present and (p < np.float32(0)) != (q < np.float32(0))
    return opposed, both
