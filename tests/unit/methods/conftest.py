from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from suture import kernels
from suture.methods.derived import whole_tensor
from suture.methods.registry import get_method

Merge = Callable[..., list[Any]]


@pytest.fixture
def merge() -> Merge:
    """merge(method, *tensors, **parameters): the merged tensor, from and to nested lists."""

    def merged(method: str, *tensors: list[Any], **parameters: Any) -> list[Any]:
        arrays = [np.array(tensor, np.float32) for tensor in tensors]
        out = whole_tensor(get_method(method), arrays, params=parameters, name="w", seed=0, backend=kernels)
        return out.tolist()

    return merged
