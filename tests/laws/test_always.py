"""Laws that hold for every merge method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import NAME, SEED, Floats, Params, merged, most_inputs, range_ends, same_bits, some_params, tensors

from suture import kernels
from suture.methods.derived import whole_tensor
from suture.methods.gram import Gram
from suture.methods.registry import Blocks, MatrixMethod, Method, SpanMethod
from suture.numerics import steps


def test_inputs_stay_as_they_are(method: Method) -> None:
    given = tensors(most_inputs(method))
    before = [tensor.copy() for tensor in given]
    merged(method, given, some_params(method, len(given)))
    assert all(same_bits(x, y) for x, y in zip(given, before, strict=True))


def test_every_range_end_is_finite(method: Method) -> None:
    given = tensors(most_inputs(method))
    models = len(given) - method.info.first_model
    for parameter in method.info.parameters:
        for end in range_ends(parameter):
            assert parameter.problem(end) is None
            value = (end,) * models if parameter.per_model else end
            out = merged(method, given, some_params(method, len(given), **{parameter.argument: value}))
            assert np.isfinite(out).all()


def streamed(method: Method, given: list[Floats], params: Params, block: int) -> Floats:
    """The merge as an engine does it: sums over segments, then blocks of any length, the last one first."""
    assert not isinstance(method, MatrixMethod)
    size, out = given[0].size, np.empty_like(given[0])
    keys = tuple(kernels.random_key(SEED, NAME, i) for i in range(len(given) - method.info.first_model))

    def parts(length: int) -> list[Blocks]:
        return [Blocks([x[start : start + length] for x in given], start, keys) for start in range(0, size, length)]

    if isinstance(method, SpanMethod):
        gram = np.zeros((len(given), len(given)))
        for part in parts(kernels.SEGMENT):
            gram += kernels.gram_segment(part.inputs, 0)
        coefficients = method.weights(Gram(gram, 0) if method.needs_gram else None, len(given), **params)
    else:
        sums: dict[str, Any] = {}
        for part in parts(kernels.SEGMENT):
            for reduction in method.statistics(**params):
                sums[reduction.name] = sums.get(reduction.name, 0) + reduction.measure(kernels, part, {}, **params)
    for part in reversed(parts(block)):
        place = out[part.start : part.start + len(part.inputs[0])]
        if isinstance(method, SpanMethod):
            kernels.weighted_sum(part.inputs, coefficients, place)
        else:
            method.combine(kernels, part, sums, place, **params)
    return out


@pytest.mark.parametrize("block", [2**16, 9973])
def test_streamed_equals_whole(method: Method, block: int) -> None:
    if isinstance(method, MatrixMethod):
        pytest.skip("a matrix method is not streamed")
    given = tensors(most_inputs(method), size=2 * kernels.SEGMENT + 4321)
    for choice in [{p.argument: word} for p in method.info.parameters for word in p.choices] or [{}]:
        params = some_params(method, len(given), **choice)
        assert same_bits(streamed(method, given, params, block), merged(method, given, params))


def test_backends_agree(method: Method) -> None:
    given = tensors(most_inputs(method))
    params = some_params(method, len(given))
    twin = whole_tensor(
        method, [torch.from_numpy(x) for x in given], params=params, name=NAME, seed=SEED, backend=steps
    )
    np.testing.assert_allclose(twin.numpy(), merged(method, given, params), rtol=1e-6, atol=1e-6)
