"""Every merge method against its formula, written down once more in float64."""

from __future__ import annotations

import numpy as np
from cases import Floats, information, merged, most_inputs, range_ends, some_params, some_value, tensors
from references import FLOAT64, Doubles

from suture.methods.registry import Method, get_method


def in_doubles(tensors: list[Floats]) -> list[Doubles]:
    return [x.astype(np.float64) for x in tensors]


def test_the_formula_in_float64(method: Method) -> None:
    given = tensors(most_inputs(method))
    in_float64 = in_doubles(given)
    for parameter in method.info.parameters:
        for value in range_ends(parameter) if parameter.kind in ("bool", "choice") else [some_value(parameter)]:
            if parameter.per_model:
                continue
            params = some_params(method, len(given), **{parameter.argument: value})
            brought = (
                {"information": in_doubles(information(method, given))} if method.info.information != "none" else {}
            )
            expected = FLOAT64[method.info.name](in_float64, {**params, **brought})
            magnitude = np.sum(np.abs(in_float64), axis=0)
            if method.info.shape == "matrix":  # every element is made of all
                magnitude = np.full_like(magnitude, magnitude.max())
            assert (np.abs(merged(method, given, params) - expected) <= 2.0**-21 * magnitude + 2.0**-147).all()


def test_close_parents_come_out_more_exact_than_by_the_plain_sum() -> None:
    x, y = tensors(2, apart=0.003)
    expected = 0.7 * x.astype(np.float64) + 0.3 * y.astype(np.float64)
    ours = merged(get_method("linear"), [x, y], {"weight": (0.7, 0.3), "normalize": True})
    plain = np.float32(0.7) * x + np.float32(0.3) * y
    assert np.abs(ours - expected).sum() < 0.8 * np.abs(plain - expected).sum()
