"""Laws of the merge methods: those that hold for all, and those that each method declares in its MethodInfo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import acos, sin
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from suture import kernels
from suture.methods.gram import Gram
from suture.methods.parameters import Parameter
from suture.methods.registry import METHODS, Blocks, MatrixMethod, Method, SpanMethod, get_method, whole_tensor
from suture.numerics import steps

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Params = dict[str, Any]

NAME, SEED = "layers.0.weight", 11


def tensors(count: int, size: int = 4999, apart: float = 0.5) -> list[Floats]:
    """A shared part and a part of each one's own, with signed zeros and subnormal numbers among them."""
    rng = np.random.default_rng(count)
    shared = rng.standard_normal(size)
    found = [(shared + apart * rng.standard_normal(size)).astype(np.float32) for _ in range(count)]
    for tensor in found:
        tensor[:3] = 0.0, -0.0, 1e-41
    return found


def merged(method: Method, given: list[Floats], params: Params) -> Floats:
    return np.asarray(whole_tensor(method, given, params=params, name=NAME, seed=SEED, backend=kernels))


def some_value(parameter: Parameter, position: int = 0) -> Any:
    """A value inside the range, another one for each model."""
    if parameter.kind in ("bool", "choice") or not (parameter.required or parameter.per_model):
        return parameter.default
    low, high = max(parameter.low, 0.0), min(parameter.high, 1.0)
    return low + (high - low) * (0.5, 0.75, 0.625)[position]


def some_params(method: Method, inputs: int, **changed: Any) -> Params:
    models = inputs - method.info.first_model
    params = {
        p.argument: tuple(some_value(p, i) for i in range(models)) if p.per_model else some_value(p)
        for p in method.info.parameters
    }
    return {**params, **changed}


def most_inputs(method: Method) -> int:
    return min(method.info.max_inputs or 3, 3)


def same_bits(x: Floats, y: Floats) -> bool:
    return x.shape == y.shape and bool((x.view(np.uint32) == y.view(np.uint32)).all())


@pytest.fixture(params=list(METHODS))
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]


# --- always -----------------------------------------------------------------------------------------------------------


def test_inputs_stay_as_they_are(method: Method) -> None:
    given = tensors(most_inputs(method))
    before = [tensor.copy() for tensor in given]
    merged(method, given, some_params(method, len(given)))
    assert all(same_bits(x, y) for x, y in zip(given, before, strict=True))


def range_ends(parameter: Parameter) -> Iterator[Any]:
    """Every end of a range, a value just inside where it is open, every choice."""
    if parameter.kind == "bool":
        yield from (False, True)
    elif parameter.kind == "choice":
        yield from parameter.choices
    else:
        width = min(parameter.high, 1.0) - max(parameter.low, 0.0)
        for end, inward, is_open in ((parameter.low, 1, parameter.low_open), (parameter.high, -1, parameter.high_open)):
            if np.isfinite(end):
                yield end + inward * 1e-3 * width if is_open else end


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
                sums[reduction.name] = sums.get(reduction.name, 0) + reduction.measure(kernels, part, **params)
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
    for choice in [
        c for p in method.info.parameters if p.kind == "choice" for c in ({p.argument: v} for v in p.choices)
    ] or [{}]:
        params = some_params(method, len(given), **choice)
        assert same_bits(streamed(method, given, params, block), merged(method, given, params))


def test_backends_agree(method: Method) -> None:
    given = tensors(most_inputs(method))
    params = some_params(method, len(given))
    twin = whole_tensor(
        method, [torch.from_numpy(x) for x in given], params=params, name=NAME, seed=SEED, backend=steps
    )
    np.testing.assert_allclose(twin.numpy(), merged(method, given, params), rtol=1e-6, atol=1e-6)


# --- the formula in float64 -------------------------------------------------------------------------------------------


def draws(model: int, size: int) -> NDArray[np.uint64]:
    """splitmix64 of the model's key and 0..size-1."""
    z = kernels.random_key(SEED, NAME, model) + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def linear_in_float64(x: list[Doubles], p: Params) -> Doubles:
    return np.average(x, axis=0, weights=p["weight"]) if p["normalize"] else np.tensordot(p["weight"], x, 1)


def slerp_in_float64(x: list[Doubles], p: Params) -> Doubles:
    angle = acos(x[0] @ x[1] / np.linalg.norm(x[0]) / np.linalg.norm(x[1]))
    return (sin((1 - p["t"]) * angle) * x[0] + sin(p["t"] * angle) * x[1]) / sin(angle)


def task_arithmetic_in_float64(x: list[Doubles], p: Params) -> Doubles:
    vectors = [w * (model - x[0]) for w, model in zip(p["weight"], x[1:], strict=True)]
    return x[0] + p["lambda_"] * np.sum(vectors, axis=0) / (sum(p["weight"]) if p["normalize"] else 1)


def nearswap_in_float64(x: list[Doubles], p: Params) -> Doubles:
    share = np.clip(p["t"] / np.maximum(np.abs(x[1] - x[0]), 1e-6), 0, 1)
    return share * x[1] + (1 - share) * x[0]


def dare_linear_in_float64(x: list[Doubles], p: Params) -> Doubles:
    models = []
    for i, (model, density) in enumerate(zip(x[1:], p["density"], strict=True)):
        mask = draws(i, x[0].size) < density * 2.0**64
        whole, kept = np.abs(model - x[0]).sum(), np.abs((model - x[0]) * mask).sum()
        models.append(x[0] + mask * (model - x[0]) * (1 / density if p["rescale"] == "expectation" else whole / kept))
    return task_arithmetic_in_float64([x[0], *models], p)


FLOAT64: Mapping[str, Callable[[list[Doubles], Params], Doubles]] = {
    "linear": linear_in_float64,
    "slerp": slerp_in_float64,
    "task_arithmetic": task_arithmetic_in_float64,
    "nearswap": nearswap_in_float64,
    "dare_linear": dare_linear_in_float64,
}


def test_the_formula_in_float64(method: Method) -> None:
    given = tensors(most_inputs(method))
    in_float64 = [x.astype(np.float64) for x in given]
    for parameter in method.info.parameters:
        for value in range_ends(parameter) if parameter.kind in ("bool", "choice") else [some_value(parameter)]:
            if parameter.per_model:
                continue
            params = some_params(method, len(given), **{parameter.argument: value})
            expected = FLOAT64[method.info.name](in_float64, params)
            magnitude = np.sum(np.abs(in_float64), axis=0)
            assert (np.abs(merged(method, given, params) - expected) <= 2.0**-21 * magnitude).all()


def test_close_parents_come_out_more_exact_than_by_the_plain_sum() -> None:
    x, y = tensors(2, apart=0.003)
    expected = 0.7 * x.astype(np.float64) + 0.3 * y.astype(np.float64)
    ours = merged(get_method("linear"), [x, y], {"weight": (0.7, 0.3), "normalize": True})
    plain = np.float32(0.7) * x + np.float32(0.3) * y
    assert np.abs(ours - expected).sum() < 0.8 * np.abs(plain - expected).sum()


# --- declared ---------------------------------------------------------------------------------------------------------


def identity(method: Method) -> None:
    """Merging a model with itself returns its bits."""
    for count in range(method.info.min_inputs, most_inputs(method) + 1):
        [x] = tensors(1)
        assert same_bits(merged(method, [x] * count, some_params(method, count)), x)


ENDPOINTS: Mapping[str, list[tuple[Params, int]]] = {
    "linear": [({"weight": (1.0, 0.0)}, 0), ({"weight": (0.0, 3.0)}, 1)],
    "slerp": [({"t": 0.0}, 0), ({"t": 1.0}, 1)],
    "task_arithmetic": [({"weight": (0.0,)}, 0), ({"weight": (1.0,)}, 1), ({"weight": (3.0,), "lambda_": 0.0}, 0)],
    "nearswap": [({"t": 0.0}, 0), ({"t": 1e30}, 1)],
    "dare_linear": [({"weight": (0.0,)}, 0), ({"weight": (1.0,), "density": (1.0,)}, 1)],
}


def endpoints(method: Method) -> None:
    """At the ends of its range the result is one input, bit for bit, near parents or far."""
    for apart in (0.003, 5.0):
        given = tensors(2, apart=apart)
        for params, index in ENDPOINTS[method.info.name]:
            assert same_bits(merged(method, given, some_params(method, 2, **params)), given[index])


def permutation(method: Method) -> None:
    """The order of the models does not matter, but for rounding."""
    first = method.info.first_model
    given = tensors(3)
    params = some_params(method, 3)
    per_model = {p.argument for p in method.info.parameters if p.per_model}
    turned = {name: value[::-1] if name in per_model else value for name, value in params.items()}
    out = merged(method, [*given[:first], *given[first:][::-1]], turned)
    np.testing.assert_allclose(out, merged(method, given, params), rtol=1e-6, atol=1e-6)


def scale(method: Method) -> None:
    """Inputs times a power of two give the output times that power, bit for bit."""
    given = [x[3:] for x in tensors(most_inputs(method))]
    params = some_params(method, len(given))
    out = merged(method, [x * np.float32(8) for x in given], params)
    assert same_bits(out, merged(method, given, params) * np.float32(8))


def reversal(method: Method) -> None:
    """From the other end, at 1 - t, the same point is reached."""
    x, y = tensors(2)
    there, back = merged(method, [x, y], {"t": 0.25}), merged(method, [y, x], {"t": 0.75})
    np.testing.assert_allclose(there, back, rtol=1e-6, atol=1e-6)


def straight_at_a_small_angle(method: Method) -> None:
    """Close parents: equal to linear, bit for bit."""
    given = tensors(2, apart=0.01)
    straight = merged(get_method("linear"), given, {"weight": (0.75, 0.25), "normalize": True})
    assert same_bits(merged(method, given, {"t": 0.25}), straight)


def task_arithmetic_at_density_1(method: Method) -> None:
    """Nothing dropped: task arithmetic, bit for bit, under either rescaling."""
    given = tensors(3)
    rest = {"weight": (0.75, -0.5), "lambda_": 1.5, "normalize": False}
    expected = merged(get_method("task_arithmetic"), given, rest)
    for rescale in ("expectation", "l1"):
        assert same_bits(merged(method, given, {**rest, "density": (1.0, 1.0), "rescale": rescale}), expected)


def kept_count(method: Method) -> None:
    """The share of elements that differ from the base is the density, drawn anew for each tensor, seed and model."""
    size, density = 40_000, 0.3
    base, x = np.zeros(size, np.float32), np.ones(size, np.float32)
    params = some_params(method, 2, weight=(1.0,), density=(density,))

    def kept(name: str, seed: int) -> NDArray[np.bool_]:
        out = whole_tensor(method, [base, x], params=params, name=name, seed=seed, backend=kernels)
        return np.asarray(out != base)

    spread = 5 * np.sqrt(density * (1 - density) * size)
    masks = [kept("a", 0), kept("b", 0), kept("a", 1)]
    assert all(abs(mask.sum() - density * size) < spread for mask in masks)
    for other in masks[1:]:
        assert abs((masks[0] & other).sum() - density**2 * size) < spread


LAWS: Mapping[str, Callable[[Method], None]] = {
    "identity": identity,
    "endpoints": endpoints,
    "permutation": permutation,
    "scale": scale,
    "reversal": reversal,
    "straight at a small angle": straight_at_a_small_angle,
    "task_arithmetic at density 1": task_arithmetic_at_density_1,
    "kept count": kept_count,
}


@pytest.mark.parametrize(("name", "law"), [(name, law) for name, m in METHODS.items() for law in m.info.laws])
def test_declared_law(name: str, law: str) -> None:
    LAWS[law](METHODS[name])


def test_every_law_is_declared_by_some_method() -> None:
    assert set(LAWS) == {law for method in METHODS.values() for law in method.info.laws}
