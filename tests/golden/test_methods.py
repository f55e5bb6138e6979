"""The bits of every merge method and every rounding, as they have been: a change of any is a change of all merges.

`python tests/golden/test_methods.py` writes the file anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from numpy.typing import NDArray

from suture import kernels
from suture.methods.derived import whole_tensor
from suture.methods.registry import METHODS, get_method

GOLDEN = Path(__file__).with_name("methods.json")
SHAPE = (407, 173)
SIZE = 407 * 173  # more than one segment, no multiple of the lanes
PAIR: dict[str, Any] = {"weight": (0.75, -0.5), "lambda_": 0.9, "normalize": False}
SPARSE: dict[str, Any] = {**PAIR, "density": (0.6, 0.1), "rescale": "l1", "int8_mask": False}
CASES: dict[str, dict[str, Any]] = {
    "linear": {"weight": (0.5, 0.3, 0.2), "normalize": True},
    "slerp": {"t": 0.3},
    "task_arithmetic": PAIR,
    "nearswap": {"t": 0.01},
    "nuslerp": {"weight": (0.6, 0.2), "nuslerp_flatten": False, "nuslerp_row_wise": False},
    "multislerp": {"weight": (0.5, 0.3, 0.4), "normalize_weights": True, "eps": 1e-8},
    "karcher": {"max_iter": 10, "tol": 1e-5},
    "model_stock": {"filter_wise": True},
    "passthrough": {"scale": (0.7,)},
    "sce": {"select_topk": 0.4, "int8_mask": False},
    "arcee_fusion": {},
    "consensus": {"weight": (0.8, 0.7), "threshold": (0.5, 0.6), "least": 2, "lambda_": 0.9},
    "fisher": {"weight": (1.0, 0.5, 2.0), "floor": 1e-3},
    "ram": {"epsilon": 0.05},
    "ramplus_tl": {"epsilon": 0.05, "r": 0.3, "alpha": 0.9},
    "ties": {**SPARSE, "normalize": True, "rescale": "none"},
    "dare_linear": SPARSE,
    "dare_ties": {**SPARSE, "rescale": "expectation"},
    "breadcrumbs": {**SPARSE, "gamma": (0.01, 0.2)},
    "breadcrumbs_ties": {**SPARSE, "gamma": (0.01, 0.2), "rescale": "none"},
    "della": {**SPARSE, "epsilon": (0.2, 0.05), "rescale": "expectation"},
    "della_linear": {**SPARSE, "epsilon": (0.2, 0.05)},
}


def inputs(count: int) -> list[NDArray[np.float32]]:
    """Numbers in [-1/8, 1/8) from integer arithmetic alone: exact in fp32, the same everywhere."""
    index = np.arange(SIZE, dtype=np.uint64)
    hashed = [(index * np.uint64(2654435761 + 97 * i) + np.uint64(i)) % np.uint64(2**24) for i in range(count)]
    return [((words.astype(np.int64) - 2**23) / 2.0**26).astype(np.float32).reshape(SHAPE) for words in hashed]


def merge_digest(name: str) -> str:
    method = get_method(name)
    given = inputs(min(method.info.max_inputs or 3, 3))
    brought = [x * x for x in given] if method.info.information == "fisher" else []
    out = whole_tensor(method, given, params=CASES[name], name="w", seed=42, backend=kernels, information=brought)
    return blake3(out.tobytes()).hexdigest()


def bitwise() -> set[str]:
    """The methods whose bits do not depend on the machine: not those of matrices, which call its linear algebra."""
    return {name for name, method in METHODS.items() if method.info.shape != "matrix"}


def rounding_digest(dtype: str, rounding: str) -> str:
    values = inputs(1)[0].reshape(-1)
    stored = np.empty(SIZE, np.uint16)
    key = kernels.random_key(42, "w", "rounding")
    kernels.narrow(values * np.float32(1 / 3), dtype, stored, rounding=rounding, key=key, start=0)
    return blake3(stored.tobytes()).hexdigest()


def digests() -> dict[str, str]:
    rounded = {f"{d} {r}": rounding_digest(d, r) for d in ("BF16", "F16") for r in ("nearest", "stochastic")}
    return {**{name: merge_digest(name) for name in CASES}, **rounded}


def test_every_method_has_a_golden_case() -> None:
    assert set(CASES) == bitwise()


@pytest.mark.parametrize(("name", "digest"), json.loads(GOLDEN.read_text()).items())
def test_bits_are_as_they_were(name: str, digest: str) -> None:
    assert (merge_digest(name) if name in CASES else rounding_digest(*name.split())) == digest


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(digests(), indent=2) + "\n")
