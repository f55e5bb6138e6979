"""Laws that hold for every merge method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import (
    NAME,
    SEED,
    Floats,
    Params,
    information,
    merged,
    most_inputs,
    range_ends,
    same_bits,
    some_params,
    tensors,
)

from suture import kernels
from suture.methods.derived import conclude, row_stretch, segment_length, waves, whole_tensor
from suture.methods.gram import Gram
from suture.methods.registry import Blocks, ElementwiseMethod, MatrixMethod, Method, SpanMethod
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
    """The merge as an engine does it: passes over segments, then blocks of any length, the last one first."""
    assert not isinstance(method, MatrixMethod)
    shape = given[0].shape
    elements, columns = given[0].size, shape[-1] if len(shape) > 1 else given[0].size
    keys = tuple(kernels.random_key(SEED, NAME, i) for i in range(len(given) - method.info.first_model))
    flat, out = [x.reshape(-1) for x in given], np.empty(elements, np.float32)

    brought = [x.reshape(-1) for x in information(method, given)]

    def parts(length: int) -> list[Blocks]:
        def part(start: int) -> Blocks:
            inputs, extra = ([x[start : start + length] for x in group] for group in (flat, brought))
            return Blocks(inputs, start, keys, columns, elements, extra)

        return [part(start) for start in range(0, elements, length)]

    def place(part: Blocks) -> Floats:
        return out[part.start : part.start + len(part.inputs[0])]

    if isinstance(method, SpanMethod) and (group := method.group(**params)) != "tensor" and len(shape) > 1:
        grams = [kernels.gram_groups(p.inputs, 0, columns, group) for p in parts(row_stretch(columns, 2**16))]
        weights = method.weights(Gram(np.concatenate(grams) if group == "row" else sum(grams), 0), len(given), **params)
        by_group = np.stack(np.broadcast_arrays(*weights), axis=-1)
        for part in reversed(parts(columns * max(block // columns, 1))):
            first = part.start // columns
            kernels.weighted_groups(part.inputs, by_group, columns, group, first, place(part))
        return out.reshape(shape)
    if isinstance(method, SpanMethod):
        gram = np.zeros((len(given), len(given)))
        for part in parts(kernels.SEGMENT):
            gram += kernels.gram_segment(part.inputs, 0)
        coefficients = method.weights(Gram(gram, 0) if method.needs_gram else None, len(given), **params)
        for part in reversed(parts(block)):
            kernels.weighted_sum(part.inputs, coefficients, place(part))
        return out.reshape(shape)
    length = segment_length(method, columns, params, kernels.SEGMENT)
    found = measured(method, parts(length), elements, params)
    whole_rows = method.whole_rows(**params)
    unit = columns if whole_rows else kernels.SEGMENT
    for part in reversed(parts(unit * max(block // unit, 1))):
        method.combine(kernels, part, found, place(part), **params)
    return out.reshape(shape)


@pytest.mark.parametrize("unit", [0.25, 1 / 3])
def test_streamed_equals_whole_where_many_magnitudes_are_equal(method: Method, unit: float) -> None:
    """Differences that are multiples of `unit`: with bits as bf16 parents have them, and with others."""
    if isinstance(method, MatrixMethod):
        pytest.skip("a matrix method is not streamed")
    base, *models = tensors(most_inputs(method), (3 * kernels.SEGMENT + 77,))
    given = [base * 0, *((np.round((x - base) * 4) * unit).astype(np.float32) for x in models)]
    params = some_params(method, len(given))
    assert same_bits(streamed(method, given, params, 2**16), merged(method, given, params))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (5, 1), (1, 5), (2, 3, 4)])
def test_any_shape(method: Method, shape: tuple[int, ...]) -> None:
    given = [np.random.default_rng(i).standard_normal(shape).astype(np.float32) for i in range(most_inputs(method))]
    brought = {"none": [], "fisher": [x * x for x in given], "gram": [None] * len(given)}[method.info.information]
    for choice in choices(method):
        params = some_params(method, len(given), **choice)
        out = whole_tensor(method, given, params=params, name=NAME, seed=SEED, backend=kernels, information=brought)
        assert out.shape == shape
        assert np.isfinite(out).all()


def choices(method: Method) -> list[Params]:
    """Every word of every choice, every turn of every switch."""
    words = [(p.argument, value) for p in method.info.parameters for value in (*p.choices, *SWITCH[p.kind == "bool"])]
    return [{}, *({name: value} for name, value in words), *EXTRA.get(method.info.name, ())]


SWITCH = {True: (False, True), False: ()}
EXTRA: dict[str, tuple[Params, ...]] = {
    "nuslerp": tuple({"nuslerp_flatten": False, "nuslerp_row_wise": row_wise} for row_wise in (False, True)),
    "sce": ({"select_topk": 0.3},),
}


def measured(method: ElementwiseMethod, segments: list[Blocks], elements: int, params: Params) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for wave in waves(method.statistics(**params)):
        parts: dict[str, list[Any]] = {
            reduction.name: [reduction.measure(kernels, part, found, **params) for part in segments]
            for reduction in wave
            if reduction.needed(found)
        }
        found |= conclude(wave, parts, found, elements, params)
    return found


@pytest.mark.parametrize("block", [2**16, 2**17, 9973])
def test_streamed_equals_whole(method: Method, block: int) -> None:
    if isinstance(method, MatrixMethod):
        pytest.skip("a matrix method is not streamed")
    for shape in [(2 * kernels.SEGMENT + 4321,), (401, 499)]:
        given = tensors(most_inputs(method), shape)
        for choice in choices(method):
            params = some_params(method, len(given), **choice)
            assert same_bits(streamed(method, given, params, block), merged(method, given, params))


def test_backends_agree(method: Method) -> None:
    given = tensors(most_inputs(method))
    params = some_params(method, len(given))
    tensors_, brought = ([torch.from_numpy(x) for x in group] for group in (given, information(method, given)))
    twin = whole_tensor(method, tensors_, params=params, name=NAME, seed=SEED, backend=steps, information=brought)
    np.testing.assert_allclose(twin.numpy(), merged(method, given, params), rtol=1e-6, atol=1e-6)
