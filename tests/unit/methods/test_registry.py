from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from suture import kernels
from suture.errors import UsageError
from suture.methods import registry
from suture.methods.derived import whole_tensor
from suture.methods.parameters import Parameter
from suture.methods.registry import METHODS, MatrixMethod, MethodInfo, get_method, register
from suture.numerics import steps


def centred(tensors: list[Any], *, strength: float) -> Any:
    """Row-centred mean: needs whole rows, so no other shape could hold it."""
    mean = sum(tensors) / len(tensors)
    return mean - strength * mean.mean(1)[:, None]


CENTRED = MatrixMethod(
    MethodInfo(
        name="centred",
        shape="matrix",
        summary="Mean of the inputs, rows centred.",
        paper="none, a method of the tests",
        formula="M - s mean(M)",
        deviations="",
        parameters=(Parameter("strength", "share of the row mean", "float", low=0.0, high=1.0),),
        laws=(),
        min_inputs=1,
        max_inputs=None,
        base="none",
    ),
    centred,
    lambda shape, inputs: 4 * 2 * int(np.prod(shape)),
)


@pytest.fixture
def plug_in() -> Iterator[EntryPoint]:
    """A module that registers a method when it is imported, and its entry point."""
    module = ModuleType("a_plug_in")
    module.__getattr__ = lambda name: register(CENTRED)  # type: ignore[method-assign]
    sys.modules["a_plug_in"] = module
    registry._discover.cache_clear()
    yield EntryPoint("centred", "a_plug_in:method", "suture.methods")
    del sys.modules["a_plug_in"]
    registry._registered.pop("centred", None)
    registry._discover.cache_clear()


def test_methods_stand_in_the_order_of_their_names() -> None:
    assert list(METHODS) == sorted(METHODS)
    assert {"linear", "slerp", "task_arithmetic", "nearswap", "dare_linear"} <= set(METHODS)
    assert len(METHODS) == len(list(METHODS))


def test_every_method_is_what_its_shape_says() -> None:
    kinds = {"span": registry.SpanMethod, "elementwise": registry.ElementwiseMethod, "matrix": MatrixMethod}
    for name, method in METHODS.items():
        assert method.info.name == name
        assert isinstance(method, kinds[method.info.shape])


def test_defaults_lie_in_their_ranges() -> None:
    for method in METHODS.values():
        for parameter in method.info.parameters:
            assert parameter.required or parameter.problem(parameter.default) is None


def test_booleans_of_the_reference_merger_are_words_of_the_choice() -> None:
    found = {m.info.name: p for m in METHODS.values() for p in m.info.parameters if p.booleans is not None}
    family = ["breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties", "della", "della_linear", "ties"]
    assert list(found) == family
    assert all(p.name == "rescale" and set(p.booleans or ()) <= set(p.choices) for p in found.values())


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r'Got "slurp". Did you mean "slerp"\?'):
        get_method("slurp")


def test_a_plug_in_is_found(plug_in: EntryPoint, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "centred" not in METHODS
    registry._discover.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: [plug_in] if group == "suture.methods" else [])
    assert get_method("centred") is CENTRED


def test_a_name_is_taken_once() -> None:
    with pytest.raises(UsageError, match='a second "linear"'):
        register(get_method("linear"))


def test_the_matrix_shape() -> None:
    tensors = [np.array([[1, 3], [0, 0]], np.float32), np.array([[3, 5], [2, 0]], np.float32)]
    out = whole_tensor(CENTRED, tensors, params={"strength": 1.0}, name="w", seed=0, backend=kernels)
    assert out.tolist() == [[-1, 1], [0.5, -0.5]]
    assert CENTRED.memory((2, 2), 2) == 32


def test_whole_tensor_keeps_the_shape_of_tensors_small_and_empty() -> None:
    for shape in [(), (0,), (3, 0), (2, 3, 4)]:
        tensors = [np.ones(shape, np.float32), np.zeros(shape, np.float32)]
        for name, params in [("slerp", {"t": 0.5}), ("nearswap", {"t": 2.0})]:
            out = whole_tensor(get_method(name), tensors, params=params, name="w", seed=0, backend=kernels)
            assert out.shape == shape


def test_whole_tensor_on_torch() -> None:
    tensors = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 6.0]])]
    params = {"weight": (1.0, 3.0), "normalize": True}
    out = whole_tensor(get_method("linear"), tensors, params=params, name="w", seed=0, backend=steps)
    assert out.tolist() == [[2.5, 5.0]]
