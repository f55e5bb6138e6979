"""The merge methods by name: those of this package, then every plug-in."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points

from suture.errors import Problem, UsageError
from suture.methods.gram import Gram
from suture.methods.parameters import REQUIRED, Parameter
from suture.methods.presets import PRESETS, Preset
from suture.methods.shapes import (
    Blocks,
    ElementwiseMethod,
    MatrixMethod,
    Method,
    MethodInfo,
    Reduction,
    SpanMethod,
    Steps,
)

__all__ = [
    "METHODS",
    "PRESETS",
    "REQUIRED",
    "Blocks",
    "ElementwiseMethod",
    "Gram",
    "MatrixMethod",
    "Method",
    "MethodInfo",
    "Parameter",
    "Preset",
    "Reduction",
    "SpanMethod",
    "Steps",
    "get_method",
    "register",
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
