"""Sign election over task vectors, and the mean of those that agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from suture.kernels.compile import Floats, compiled
from suture.kernels.span import with_term

_CHUNK = 1024
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
    ballot: Sequence[float] | None = None,
) -> None:
    """base + lambda sum_i [sign d_i = s] d_i, d_i = w_i f_i (kept_i - base), s = sign(sum_i d_i), sign(0) = +1; fp32.

    kept: (models, elements). ballot: weights in the vote, in place of w_i f_i. normalize: divide by the sum of the w_i
    of those that agree (0 counts as 1). Where one alone agrees, and with coefficient 1, the result is its own bits.
    """
    scaled = np.array([w * f for w, f in zip(weight, factor, strict=True)], np.float32)
    share = np.array(weight, np.float32)
    whole = np.array([lambda_ * (f if normalize else w * f) == 1.0 for w, f in zip(weight, factor, strict=True)])
    voices = scaled if ballot is None else np.array(ballot, np.float32)
    _elect(base, kept, voices, scaled, share, whole, np.float32(lambda_), normalize, out)


@compiled
def _elect(
    base: Floats,
    kept: Floats,
    voices: Floats,
    scaled: Floats,
    share: Floats,
    whole: NDArray[np.bool_],
    lambda_: np.float32,
    normalize: bool,
    out: Floats,
) -> None:
    scratch, exact = np.empty((5, _CHUNK), np.float32), whole.any()
    for first in range(0, base.size, _CHUNK):
        end = min(first + _CHUNK, base.size)
        anchor, size = base[first:end], end - first
        total, mix, divisor, votes, alone = (
            scratch[0, :size],
            scratch[1, :size],
            scratch[2, :size],
            scratch[3, :size],
            scratch[4, :size],
        )
        scratch[:] = np.float32(0)
        alone[:] = np.float32(-0.0)  # a sum that starts from it keeps the sign of a single zero
        for model in range(kept.shape[0]):
            _vote(kept[model, first:end], anchor, voices[model], total)
        for model in range(kept.shape[0]):
            _gather(kept[model, first:end], anchor, scaled[model], share[model], total, mix, divisor)
        if exact:
            for model in range(kept.shape[0]):
                vote = np.float32(1 if whole[model] else 2)
                _count(kept[model, first:end], anchor, scaled[model], vote, total, votes, alone)
        _finish(anchor, mix, divisor, lambda_, normalize, votes, alone, out[first:end])


@compiled
def _vote(x: Floats, anchor: Floats, weight: np.float32, total: Floats) -> None:
    for j in range(x.size):
        total[j] += weight * (x[j] - anchor[j])


@compiled
def _with_elected(term: np.float32, total: np.float32) -> np.float32:
    """Above 0 where the term has the elected sign."""
    return term if total >= np.float32(0) else -term


@compiled
def _gather(
    x: Floats, anchor: Floats, weight: np.float32, share: np.float32, total: Floats, mix: Floats, divisor: Floats
) -> None:
    zero = np.float32(0)
    for j in range(x.size):
        term = weight * (x[j] - anchor[j])
        agrees = _with_elected(term, total[j]) > zero
        mix[j] += term if agrees else zero
        divisor[j] += share if agrees else zero


@compiled
def _count(
    x: Floats, anchor: Floats, weight: np.float32, vote: np.float32, total: Floats, votes: Floats, alone: Floats
) -> None:
    """One vote for a model whose coefficient is 1, two for any other; and the sum of those that agree."""
    zero = np.float32(0)
    for j in range(x.size):
        agrees = _with_elected(weight * (x[j] - anchor[j]), total[j]) > zero
        votes[j] += vote if agrees else zero
        alone[j] += x[j] if agrees else np.float32(-0.0)


@compiled
def _finish(
    anchor: Floats,
    mix: Floats,
    divisor: Floats,
    lambda_: np.float32,
    normalize: bool,
    votes: Floats,
    alone: Floats,
    out: Floats,
) -> None:
    zero, one = np.float32(0), np.float32(1)
    for j in range(out.size):
        by = divisor[j] if divisor[j] != zero else one
        value = with_term(anchor[j], lambda_ * (mix[j] / by if normalize else mix[j]))
        single = alone[j]
        out[j] = single if votes[j] == one else value
