"""What the laws of the merge methods share: tensors, parameters inside their ranges, the merge of whole tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suture import kernels
from suture.methods.derived import whole_tensor
from suture.methods.parameters import Parameter
from suture.methods.registry import Method

Floats = NDArray[np.float32]
Params = dict[str, Any]

NAME, SEED = "layers.0.weight", 11


def tensors(count: int, shape: tuple[int, ...] = (73, 67), apart: float = 0.5) -> list[Floats]:
    """A shared part and a part of each one's own, with signed zeros and subnormal numbers among them."""
    rng = np.random.default_rng(count)
    shared = rng.standard_normal(shape)
    found = [(shared + apart * rng.standard_normal(shape)).astype(np.float32) for _ in range(count)]
    for tensor in found:
        tensor.flat[:3] = 0.0, -0.0, 1e-41
    return found


def information(method: Method, given: list[Floats]) -> list[Floats]:
    """What each non-base input brings along, where the method asks for it."""
    models = given[method.info.first_model :]
    rng = np.random.default_rng(7)
    if method.info.information == "fisher":
        return [np.square(rng.standard_normal(x.shape)).astype(np.float32) for x in models]
    if method.info.information == "gram":
        width = given[0].shape[-1]
        texts = [rng.standard_normal((4 * width, width)) * np.linspace(0.1, 2, width) for _ in models]
        return [(text.T @ text).astype(np.float32) for text in texts]
    return []


def merged(method: Method, given: list[Floats], params: Params, brought: list[Floats] | None = None) -> Floats:
    brought = information(method, given) if brought is None else brought
    return np.asarray(
        whole_tensor(method, given, params=params, name=NAME, seed=SEED, backend=kernels, information=brought)
    )


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
