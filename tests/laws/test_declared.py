"""Laws that a merge method declares in its MethodInfo; each runs for each method that names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from cases import Params, information, merged, most_inputs, same_bits, some_params, tensors
from numpy.typing import NDArray

from suture import kernels
from suture.methods.derived import whole_tensor
from suture.methods.registry import METHODS, Method, get_method


def identity(method: Method) -> None:
    """Merging a model with itself returns its bits."""
    for count in range(method.info.min_inputs, most_inputs(method) + 1):
        [x] = tensors(1)
        assert same_bits(merged(method, [x] * count, some_params(method, count)), x)


BASE_OR_MODEL: list[tuple[Params, int]] = [
    ({"weight": (0.0,)}, 0),
    ({"weight": (1.0,), "density": (1.0,)}, 1),
    ({"weight": (3.0,), "lambda_": 0.0}, 0),
]
ENDPOINTS: Mapping[str, list[tuple[Params, int]]] = {
    "linear": [({"weight": (1.0, 0.0)}, 0), ({"weight": (0.0, 3.0)}, 1)],
    "slerp": [({"t": 0.0}, 0), ({"t": 1.0}, 1)],
    "task_arithmetic": [({"weight": (0.0,)}, 0), ({"weight": (1.0,)}, 1), ({"weight": (3.0,), "lambda_": 0.0}, 0)],
    "nuslerp": [({"weight": (1.0, 0.0)}, 0), ({"weight": (0.0, 3.0)}, 1)],
    "nearswap": [({"t": 0.0}, 0), ({"t": 1e30}, 1)],
    **dict.fromkeys(
        ("ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear"), BASE_OR_MODEL
    ),
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
    given = tensors(most_inputs(method))
    params = some_params(method, len(given))
    brought = information(method, given)
    per_model = {p.argument for p in method.info.parameters if p.per_model}
    turned = {name: value[::-1] if name in per_model else value for name, value in params.items()}
    out = merged(method, [*given[:first], *given[first:][::-1]], turned, brought[::-1])
    np.testing.assert_allclose(out, merged(method, given, params, brought), rtol=1e-6, atol=1e-6)


def scale(method: Method) -> None:
    """Inputs times a power of two give the output times that power, bit for bit."""
    given = [x[1:] for x in tensors(most_inputs(method))]
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


def identity_but_for_rounding(method: Method) -> None:
    """Merging a model with itself returns it."""
    for count in range(method.info.min_inputs, most_inputs(method) + 1):
        [x] = tensors(1)
        np.testing.assert_allclose(merged(method, [x] * count, some_params(method, count)), x, rtol=1e-6)


def scale_but_for_rounding(method: Method) -> None:
    """Inputs times a power of two give the output times that power."""
    given = tensors(3)
    params = some_params(method, 3)
    out = merged(method, [x * np.float32(8) for x in given], params)
    np.testing.assert_allclose(out, 8 * merged(method, given, params), rtol=1e-6, atol=1e-6)


def slerp_law(method: Method) -> None:
    """Without a base: slerp, at t = the second weight's share."""
    given = tensors(2)
    expected = merged(get_method("slerp"), given, {"t": 0.25})
    found = merged(method, given, some_params(method, 2, weight=(3.0, 1.0)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def slerp_at_one_half(method: Method) -> None:
    """Of two of equal norm: slerp at one half, on the arc."""
    x, y = tensors(2)
    y *= np.float32(np.linalg.norm(x.astype(np.float64)) / np.linalg.norm(y.astype(np.float64)))
    expected = merged(get_method("slerp"), [x, y], {"t": 0.5})
    np.testing.assert_allclose(merged(method, [x, y], some_params(method, 2)), expected, rtol=1e-6, atol=1e-6)


def identical_task_vectors(method: Method) -> None:
    """Models that are equal: the model itself, bit for bit."""
    base, x = tensors(2)
    for count in (2, 3):
        assert same_bits(merged(method, [base] + [x] * count, some_params(method, count + 1)), x)


def one_model_is_itself(method: Method) -> None:
    """A single task vector at full strength comes back, but for rounding."""
    base, x = tensors(2)
    ones = {p.argument: (1.0,) if p.per_model else 1.0 for p in method.info.parameters if p.name != "ridge"}
    found = merged(method, [base, x], some_params(method, 2, **ones))
    np.testing.assert_allclose(found, x, rtol=1e-5, atol=1e-5)


def task_arithmetic_at_omega_1(method: Method) -> None:
    """Nothing held back: task arithmetic."""
    given = tensors(3)
    params = some_params(method, 3, omega=1.0)
    expected = merged(get_method("task_arithmetic"), given, some_params(get_method("task_arithmetic"), 3))
    np.testing.assert_allclose(merged(method, given, params), expected, rtol=1e-6, atol=1e-6)


def task_arithmetic_at_density_1(method: Method) -> None:
    """Nothing dropped: task arithmetic, bit for bit, under either rescaling."""
    given = tensors(3)
    rest = {"weight": (0.75, -0.5), "lambda_": 1.5, "normalize": False}
    expected = merged(get_method("task_arithmetic"), given, rest)
    for rescale in ("none", "l1", "expectation"):
        params = some_params(method, 3, **rest, density=(1.0, 1.0), rescale=rescale)
        assert same_bits(merged(method, given, params), expected)


def task_arithmetic_without_conflict(method: Method) -> None:
    """Nothing dropped, all task vectors of one sign, nothing divided: task arithmetic, but for rounding."""
    base, x, y = tensors(3)
    given = [base, base + np.abs(x), base + np.abs(y)]
    rest = {"weight": (0.75, 0.5), "lambda_": 1.5, "normalize": False}
    expected = merged(get_method("task_arithmetic"), given, rest)
    found = merged(method, given, some_params(method, 3, **rest, density=(1.0, 1.0)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def exact_count(method: Method) -> None:
    """As many elements are kept as the density says, whatever magnitudes are equal: the first in stable order."""
    delta = np.random.default_rng(0).integers(1, 9, 70_003).astype(np.float32)
    falling = np.argsort(-delta, kind="stable")
    base = np.zeros_like(delta)
    delta *= np.float32(1 if method.info.name == "ties" else 1 / 3)  # with coarse bits and with fine ones
    for density in (1e-6, 0.05, 0.3, 0.777, 0.99):
        params = some_params(method, 2, weight=(1.0,), density=(density,), normalize=False)
        count, first = int(density * delta.size), 0
        if "gamma" in params:
            params["gamma"] = (0.01,)
            first = min(int(0.01 * delta.size), delta.size - count)
        else:
            count = max(count, 1)
        kept = np.flatnonzero(merged(method, [base, delta], params))
        assert (kept == np.sort(falling[first : first + count])).all()


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
    "identity but for rounding": identity_but_for_rounding,
    "scale but for rounding": scale_but_for_rounding,
    "slerp": slerp_law,
    "slerp at one half": slerp_at_one_half,
    "identical task vectors": identical_task_vectors,
    "one model is itself": one_model_is_itself,
    "task_arithmetic at omega 1": task_arithmetic_at_omega_1,
    "task_arithmetic at density 1": task_arithmetic_at_density_1,
    "task_arithmetic without conflict": task_arithmetic_without_conflict,
    "kept count": kept_count,
    "exact count": exact_count,
}


@pytest.mark.parametrize(("name", "law"), [(name, law) for name, m in METHODS.items() for law in m.info.laws])
def test_declared_law(name: str, law: str) -> None:
    LAWS[law](METHODS[name])


def test_every_law_is_declared_by_some_method() -> None:
    assert set(LAWS) == {law for method in METHODS.values() for law in method.info.laws}
