"""Sign election over task vectors, and the mean of those that agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from suture.kernels.compile import Floats, compiled
from suture.kernels.span import with_term


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
    scaled, share, vote = election(weight, factor, lambda_, normalize)
    voices = scaled if ballot is None else singles(ballot)
    elect_rows(base, kept, voices, scaled, share, vote, np.float32(lambda_), normalize, out)


def singles(values: Sequence[float]) -> tuple[np.float32, ...]:
    """The values in fp32, as the loops take what they need of each model."""
    return tuple(np.float32(value) for value in values)


def election(
    weight: Sequence[float], factor: Sequence[float], lambda_: float, normalize: bool
) -> tuple[tuple[np.float32, ...], tuple[np.float32, ...], tuple[np.float32, ...]]:
    """What `elect_rows` takes of each model: w_i f_i, w_i, and its vote.

    A model whose coefficient is 1 has one vote, any other two: a count of 1 says that one such alone agrees.
    """
    pairs = list(zip(weight, factor, strict=True))
    whole = [lambda_ * (f if normalize else w * f) == 1.0 for w, f in pairs]
    vote = [1.0 if alone else 2.0 for alone in whole]
    return singles([w * f for w, f in pairs]), singles(weight), singles(vote)


@compiled
def elect_rows(
    base: Floats,
    kept: Floats,
    voices: Any,
    scaled: Any,
    share: Any,
    vote: Any,
    lambda_: np.float32,
    normalize: bool,
    out: Floats,
) -> None:
    """See `elected`. kept: (models, at least as many elements as `out`). The loops over models are unrolled."""
    zero, one = np.float32(0), np.float32(1)
    for j in range(out.size):
        anchor, total = base[j], zero
        for model in range(len(scaled)):
            total += voices[model] * (kept[model, j] - anchor)
        mix, divisor, count = zero, zero, zero
        single = np.float32(-0.0)  # a sum that starts from it keeps the sign of a single zero
        for model in range(len(scaled)):
            x = kept[model, j]
            term = scaled[model] * (x - anchor)
            agrees = _with_elected(term, total) > zero
            mix += term if agrees else zero
            divisor += share[model] if agrees else zero
            count += vote[model] if agrees else zero
            single += x if agrees else np.float32(-0.0)
        by = divisor if divisor != zero else one
        value = with_term(anchor, lambda_ * (mix / by if normalize else mix))
        out[j] = single if count == one else value


@compiled
def _with_elected(term: np.float32, total: np.float32) -> np.float32:
    """Above 0 where the term has the elected sign."""
    return term if total >= np.float32(0) else -term
