"""Sign election over task vectors, and the mean of those that agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Floats, compiled
from suture.kernels.span import with_term

_CHUNK = 512
"""Elements that are elected together, so that all scratch stays in the first-level cache."""


def empty_rows(block: Floats, rows: int) -> Floats:
    """(rows, elements): as many new blocks like `block`, with arbitrary content."""
    return np.empty((rows, block.size), np.float32)


def elected(
    base: Floats,
    kept: Floats,
    weight: Sequence[float],
    factor: Sequence[float],
    lambda_: float,
    normalize: bool,
    out: Floats,
) -> None:
    """base + lambda sum_i [sign d_i = s] d_i, d_i = w_i f_i (kept_i - base), s = sign(sum_i d_i), sign(0) = +1; fp32.

    kept: (models, elements). normalize: divide by the sum of the w_i of those that agree (0 counts as 1). Where one
    alone agrees, and with coefficient 1, the result is its own bits.
    """
    scaled = np.array([w * f for w, f in zip(weight, factor, strict=True)], np.float32)
    share = np.array(weight, np.float32)
    whole = np.array([lambda_ * (f if normalize else w * f) == 1.0 for w, f in zip(weight, factor, strict=True)])
    _elect(base, kept, scaled, share, whole, np.float32(lambda_), normalize, out)


@compiled
def _elect(
    base: Floats,
    kept: Floats,
    scaled: Floats,
    share: Floats,
    whole: NDArray[np.bool_],
    lambda_: np.float32,
    normalize: bool,
    out: Floats,
) -> None:
    zero, one = np.float32(0), np.float32(1)
    total, mix, divisor = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    votes, alone = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    for first in range(0, base.size, _CHUNK):
        count = min(_CHUNK, base.size - first)
        anchor = base[first : first + count]
        total[:count] = zero
        mix[:count] = zero
        divisor[:count] = zero
        votes[:count] = zero
        for model in range(kept.shape[0]):
            x, w = kept[model, first : first + count], scaled[model]
            for j in range(count):
                total[j] += w * (x[j] - anchor[j])
        for model in range(kept.shape[0]):
            x, w, part = kept[model, first : first + count], scaled[model], share[model]
            vote = one if whole[model] else np.float32(2)
            for j in range(count):
                term = w * (x[j] - anchor[j])
                agrees = (term > zero) if total[j] >= zero else (term < zero)
                mix[j] += term if agrees else zero
                divisor[j] += part if agrees else zero
                votes[j] += vote if agrees else zero
                alone[j] = x[j] if agrees else alone[j]
        for j in range(count):
            value = mix[j]
            if normalize:
                value = value / (divisor[j] if divisor[j] != zero else one)
            out[first + j] = alone[j] if votes[j] == one else with_term(anchor[j], lambda_ * value)
