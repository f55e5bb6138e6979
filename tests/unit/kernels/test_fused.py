from __future__ import annotations

import numpy as np
import pytest

from suture.kernels import fused
from suture.kernels.span import weighted_sum
from suture.kernels.stored import narrow, widen
from suture.kernels.streams import in_memory
from suture.kernels.tile import finish
from suture.numerics.anchor import anchored
from suture.numerics.keys import random_key

SIZE = 3 * 4096 + 77


@pytest.mark.parametrize("rounding", ["stochastic", "nearest"])
@pytest.mark.parametrize("coefficients", [(0.61, 0.62), (0.3, 0.9), (-0.2, 0.7), (0.9, 0.0)])
@pytest.mark.parametrize("clinical", [0, 1])
def test_a_scaled_pair_has_the_bits_and_sums_of_the_single_steps(
    rounding: str, coefficients: tuple[float, float], clinical: int
) -> None:
    generator = np.random.default_rng(5)
    raws = [np.empty(SIZE, np.uint16) for _ in range(2)]
    first = generator.standard_normal(SIZE).astype(np.float32)
    for raw, values in zip(raws, (first, first + np.float32(0.01) * generator.standard_normal(SIZE)), strict=True):
        narrow(np.float32(values), "BF16", raw, rounding="nearest", key=np.uint64(0), start=0)
    blocks = [np.empty(SIZE, np.float32) for _ in range(2)]
    for raw, block in zip(raws, blocks, strict=True):
        widen(raw, "BF16", block)
    key, start = random_key(3, "w", "rounding"), 1 << 20
    single, stored, back = np.empty(SIZE, np.float32), np.empty(SIZE, np.uint16), np.empty(SIZE, np.float32)
    weighted_sum(blocks, coefficients, single)
    told = np.zeros(3)
    finish(
        single, blocks[1 - clinical], blocks[clinical], "BF16",
        rounding=rounding, key=key, start=start, out=stored, back=back, sums=told,
    )  # fmt: skip
    anchor, total = anchored(coefficients)
    out, sums = np.empty(SIZE, np.uint16), np.zeros(3)
    fused.scaled_pair_sum(
        in_memory([raws[anchor], raws[1 - anchor]], out), (total, coefficients[1 - anchor]),
        clinical_is_base=clinical == anchor, rounding=rounding, key=key, start=start, count=SIZE, sums=sums,
    )  # fmt: skip
    assert np.array_equal(out, stored)
    assert sums == pytest.approx(told, rel=1e-4, abs=1e-4 * float(np.abs(told).max()))


def test_the_loop_stops_before_a_value_that_is_not_finite() -> None:
    raws = [np.full(SIZE, 0x3F80, np.uint16) for _ in range(2)]
    raws[1][4099] = 0x7FC0
    stream = in_memory(raws, np.empty(SIZE, np.uint16))
    done = fused.scaled_pair_sum(
        stream, (1.2, 0.4), clinical_is_base=False,
        rounding="nearest", key=np.uint64(0), start=0, count=SIZE, sums=np.zeros(3),
    )  # fmt: skip
    assert done == 0
