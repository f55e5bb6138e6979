"""The merge methods by name, and the whole-tensor function of each, derived from its shape."""

from __future__ import annotations

import difflib
import importlib
import operator
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from importlib.metadata import entry_points
from typing import Any

from suture.errors import Problem, UsageError
from suture.methods.gram import Gram
from suture.methods.parameters import REQUIRED, Parameter
from suture.methods.shapes import (
    Block,
    Blocks,
    ElementwiseMethod,
    MatrixMethod,
    Method,
    MethodInfo,
    Reduction,
    SpanMethod,
    Steps,
    Sums,
)
from suture.numerics.keys import model_keys

__all__ = [
    "METHODS",
    "REQUIRED",
    "Blocks",
    "ElementwiseMethod",
    "Gram",
    "MatrixMethod",
    "Method",
    "MethodInfo",
    "Parameter",
    "Reduction",
    "SpanMethod",
    "Steps",
    "get_method",
    "register",
    "whole_tensor",
]

_registered: dict[str, Method] = {}


def register(method: Method) -> None:
    """Make a method known by its name. UsageError where another one has that name."""
    name = method.info.name
    if name in _registered:
        raise UsageError(Problem("Every method has its own name.", f'a second "{name}"', do="Remove one plug-in."))
    _registered[name] = method


@cache
def _discover() -> None:
    """Import every module of this package, then every plug-in; each registers what it holds."""
    package = importlib.import_module("suture.methods")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"suture.methods.{module.name}")
    for plug_in in sorted(entry_points(group="suture.methods"), key=lambda entry: entry.name):
        plug_in.load()


class _Methods(Mapping[str, Method]):
    """All methods in the order of their names, found when first asked for."""

    def __getitem__(self, name: str) -> Method:
        _discover()
        return _registered[name]

    def __iter__(self) -> Iterator[str]:
        _discover()
        return iter(sorted(_registered))

    def __len__(self) -> int:
        _discover()
        return len(_registered)


METHODS: Mapping[str, Method] = _Methods()


def get_method(name: str) -> Method:
    """The method called `name`. UsageError, naming the nearest one, where there is none."""
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1)
    advice = f'Did you mean "{near[0]}"?' if near else ""
    raise UsageError(Problem(f"merge_method must be one of {', '.join(METHODS)}.", f'"{name}"', do=advice))


def whole_tensor(
    method: Method,
    tensors: Sequence[Block],
    *,
    params: Mapping[str, Any],
    name: str,
    seed: int,
    backend: Steps,
) -> Block:
    """One merged float32 tensor of the inputs' shape, from whole tensors in memory.

    tensors: float32, of one shape, on the backend (numpy for `kernels`, torch for `numerics.steps`), the base first
    where the method has one. params: keyed as the method takes them, per-model ones as tuples. name, seed: key the
    draws of random methods. The result equals the streamed merge bit for bit.
    """
    if isinstance(method, MatrixMethod):
        return method.matrix(tensors, **params)
    keys = model_keys(seed, name, len(tensors) - method.info.first_model)
    blocks = Blocks([tensor.reshape(-1) for tensor in tensors], 0, keys)
    out = backend.empty_like(blocks.inputs[0])
    if isinstance(method, SpanMethod):
        gram = _gram(blocks, backend) if method.needs_gram else None
        backend.weighted_sum(blocks.inputs, method.weights(gram, len(tensors), **params), out)
    else:
        statistics = {
            reduction.name: _added(
                [reduction.measure(backend, segment, **params) for segment in _segments(blocks, backend)]
            )
            for reduction in method.statistics(**params)
        }
        method.combine(backend, blocks, statistics, out, **params)
    return out.reshape(tensors[0].shape)


def _gram(blocks: Blocks, backend: Steps) -> Gram:
    return Gram(_added([backend.gram_segment(part.inputs, 0) for part in _segments(blocks, backend)]), 0)


def _segments(blocks: Blocks, backend: Steps) -> Iterator[Blocks]:
    for start in range(0, max(len(blocks.inputs[0]), 1), backend.SEGMENT):
        yield Blocks([block[start : start + backend.SEGMENT] for block in blocks.inputs], start, blocks.keys)


def _added(parts: Sequence[Sums]) -> Sums:
    return reduce(operator.add, parts)
