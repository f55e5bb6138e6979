"""The PyTorch steps against the kernels: bit for bit where elementwise, sums within the stated bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from suture import kernels
from suture.numerics import steps

Floats = NDArray[np.float32]
KEY = kernels.random_key(1, "tensor", "test")
EDGES = [0.0, -0.0, np.inf, -np.inf, 65504, 65505, 65520, 65536, 3.39e38, -3.4e38, 1e-45, -6e-8, 2.98e-8, 6.1e-5]


def values(seed: int, size: int = 20011) -> Floats:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def wide_range() -> Floats:
    exponents = np.random.default_rng(9).integers(-150, 127, 20011)
    return np.concatenate([np.ldexp(values(0), exponents), EDGES]).astype(np.float32)


def same_bits(array: Floats, tensor: torch.Tensor) -> bool:
    return bool((array.view(np.uint32) == tensor.numpy().view(np.uint32)).all())


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_narrow_and_widen(dtype: str, rounding: str) -> None:
    given = wide_range()
    stored, twin = np.empty(given.size, np.uint16), torch.empty(given.size, dtype=torch.int16)
    kernels.narrow(given, dtype, stored, rounding=rounding, key=KEY, start=5)
    steps.narrow(torch.from_numpy(given), dtype, twin, rounding=rounding, key=KEY, start=5)
    assert (stored == twin.numpy().view(np.uint16)).all()

    back, twin_back = np.empty_like(given), torch.empty(given.size)
    kernels.widen(stored, dtype, back)
    steps.widen(twin, dtype, twin_back)
    assert same_bits(back, twin_back)


def test_count_nonfinite() -> None:
    given = np.array([1, np.nan, np.inf, -np.inf, 0], np.float32)
    assert steps.count_nonfinite(torch.from_numpy(given)) == kernels.count_nonfinite(given) == 3


@pytest.mark.parametrize("coefficients", [(1.0,), (0.3, 0.7), (-0.5, 1.0, 0.5), (0.1, 0.2, 0.3, 0.4), (2.0, -1.0, 0.0)])
def test_weighted_sum(coefficients: tuple[float, ...]) -> None:
    blocks = [values(i) for i in range(len(coefficients))]
    out, twin = np.empty_like(blocks[0]), torch.empty(blocks[0].size)
    kernels.weighted_sum(blocks, coefficients, out)
    steps.weighted_sum([torch.from_numpy(block) for block in blocks], coefficients, twin)
    assert same_bits(out, twin)


def test_nearswap() -> None:
    x, base = values(1), values(2)
    out, twin = kernels.empty_like(x), steps.empty_like(torch.from_numpy(x))
    kernels.nearswap(base, x, 0.1, out)
    steps.nearswap(torch.from_numpy(base), torch.from_numpy(x), 0.1, twin)
    assert same_bits(out, twin)


@pytest.mark.parametrize("start", [0, 3, 2**33 + 1])
def test_thinned(start: int) -> None:
    x, base = values(1), values(2)
    out, twin = np.empty_like(x), torch.empty(x.size)
    for density in (0.3, 1.0):
        kernels.thinned(x, base, KEY, start, density, out)
        steps.thinned(torch.from_numpy(x), torch.from_numpy(base), KEY, start, density, twin)
        assert same_bits(out, twin)


@pytest.mark.parametrize("columns", [1, 2, 101])
@pytest.mark.parametrize("divided", [False, True])
def test_thinned_by_rank(columns: int, divided: bool) -> None:
    x, base = coarse(1)[: columns * 150], coarse(2)[: columns * 150]
    out, twin = np.empty_like(x), torch.empty(x.size)
    kernels.thinned_by_rank(x, base, KEY, 3 * columns, columns, 0.5, 0.3, divided, out)
    tensors = torch.from_numpy(x), torch.from_numpy(base)
    steps.thinned_by_rank(*tensors, KEY, 3 * columns, columns, 0.5, 0.3, divided, twin)
    assert same_bits(out, twin)


def coarse(seed: int) -> Floats:
    """With many equal magnitudes among the differences."""
    return np.round(values(seed) * 4).astype(np.float32)


def test_selection() -> None:
    x, base = coarse(1), coarse(2)
    tensors = torch.from_numpy(x), torch.from_numpy(base)
    assert (kernels.high_counts(x, base) == steps.high_counts(*tensors)).all()
    for magnitude in (0.0, 1.0, 3.0, 0.3):
        bits = int(np.float32(magnitude).view(np.uint32))
        high = bits >> 16
        assert (kernels.low_counts(x, base, high) == steps.low_counts(*tensors, high)).all()
        assert (kernels.coarse_counts(x, base, high) == steps.coarse_counts(*tensors, high)).all()
        count = kernels.equal_count(x, base, bits)
        assert count == steps.equal_count(*tensors, bits)
        for half in (0, 1, count // 2, count):
            assert kernels.place_of(x, base, bits, half) == steps.place_of(*tensors, bits, half)
        out, twin = np.empty_like(x), torch.empty(x.size)
        bounds = [(bits, 777), (bits + 2**23, 9000)]
        kernels.kept_by_rank(x, base, bounds, out)
        steps.kept_by_rank(*tensors, bounds, twin)
        assert same_bits(out, twin)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("lambda_", [1.0, 0.7])
def test_elected(normalize: bool, lambda_: float) -> None:
    base, kept = coarse(0), np.stack([coarse(i) for i in (1, 2, 3)])
    weight, factor = (1.0, 0.5, -0.25), (1.0, 2.0, 1.0)
    out, twin = np.empty_like(base), torch.empty(base.size)
    kernels.elected(base, kept, weight, factor, lambda_, normalize, out)
    steps.elected(torch.from_numpy(base), torch.from_numpy(kept), weight, factor, lambda_, normalize, twin)
    assert same_bits(out, twin)


def test_sums_within_the_stated_bound() -> None:
    blocks = [values(i) for i in range(3)]
    tensors = [torch.from_numpy(block) for block in blocks]
    bound = blocks[0].size * 2.0**-52 * 4 * sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks)
    assert np.abs(kernels.gram_segment(blocks, 1) - steps.gram_segment(tensors, 1)).max() <= bound
    raw, back, found = np.empty(blocks[0].size, np.uint16), np.empty_like(blocks[0]), [np.zeros(3), np.zeros(3)]
    common = {"dtype": "BF16", "rounding": "stochastic", "key": np.uint64(9), "start": 0}
    kernels.finish(*blocks, out=raw, back=back, sums=found[0], **common)
    twin, wide = torch.empty(raw.size, dtype=torch.int16), torch.empty_like(tensors[0])
    steps.finish(*tensors, out=twin, back=wide, sums=found[1], **common)
    assert (twin.numpy().view(np.uint16) == raw).all()
    assert (wide.numpy() == back).all()
    magnitudes = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks)
    assert np.abs(found[0] - found[1]).max() <= 2.0**-20 * 4 * magnitudes
    assert np.abs(np.subtract(kernels.l1_distances(*blocks), steps.l1_distances(*tensors))).max() <= bound


@pytest.mark.parametrize("group", ["row", "column"])
def test_groups(group: str) -> None:
    blocks = [values(i)[: 101 * 198] for i in range(3)]
    tensors = [torch.from_numpy(block) for block in blocks]
    grams = kernels.gram_groups(blocks, 0, 101, group)
    np.testing.assert_allclose(grams, steps.gram_groups(tensors, 0, 101, group), rtol=1e-11, atol=1e-11)
    coefficients = np.random.default_rng(0).random((198 if group == "row" else 101, 3))
    coefficients[3] = 0, 0, 1
    part = slice(101 * 2, 101 * 50)
    out, twin = np.empty(101 * 48, np.float32), torch.empty(101 * 48)
    kernels.weighted_groups([block[part] for block in blocks], coefficients, 101, group, 2, out)
    steps.weighted_groups([tensor[part] for tensor in tensors], coefficients, 101, group, 2, twin)
    assert same_bits(out, twin)
    if group == "row":
        assert (out[101:202] == blocks[2][303:404]).all()


def test_variances_scores_and_active_places() -> None:
    base, models = coarse(0), [coarse(i) for i in (1, 2, 3)]
    tensors = torch.from_numpy(base), [torch.from_numpy(x) for x in models]
    out, twin = np.empty_like(base), torch.empty(base.size)
    kernels.variances(base, models, out)
    steps.variances(*tensors, twin)
    assert same_bits(out, twin)
    score, bound = out.copy(), (int(np.float32(4).view(np.uint32)), 5000)
    kernels.kept_by_score(models[0], base, score, bound, out)
    steps.kept_by_score(tensors[1][0], tensors[0], torch.from_numpy(score), bound, twin)
    assert same_bits(out, twin)
    assert (kernels.active_counts(base, models, 0.5) == steps.active_counts(*tensors, 0.5)).all()
    kernels.active_means(base, models, 0.5, [1.0, 1.5, 2.0], out)
    steps.active_means(*tensors, 0.5, [1.0, 1.5, 2.0], twin)
    assert same_bits(out, twin)


def test_importances() -> None:
    x, base = values(1)[:20000], values(2)[:20000]
    out, twin = np.empty_like(x), torch.empty(x.size)
    kernels.importances(x, base, 100, out)
    steps.importances(torch.from_numpy(x), torch.from_numpy(base), 100, twin)
    np.testing.assert_allclose(out, twin.numpy(), rtol=1e-6)
