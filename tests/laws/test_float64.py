"""Every merge method against its formula, written down once more in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import acos, sin

import numpy as np
from cases import NAME, SEED, Params, merged, most_inputs, range_ends, some_params, some_value, tensors
from numpy.typing import NDArray

from suture import kernels
from suture.methods.registry import Method, get_method

Doubles = NDArray[np.float64]


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
            assert (np.abs(merged(method, given, params) - expected) <= 2.0**-21 * magnitude + 2.0**-147).all()


def test_close_parents_come_out_more_exact_than_by_the_plain_sum() -> None:
    x, y = tensors(2, apart=0.003)
    expected = 0.7 * x.astype(np.float64) + 0.3 * y.astype(np.float64)
    ours = merged(get_method("linear"), [x, y], {"weight": (0.7, 0.3), "normalize": True})
    plain = np.float32(0.7) * x + np.float32(0.3) * y
    assert np.abs(ours - expected).sum() < 0.8 * np.abs(plain - expected).sum()
