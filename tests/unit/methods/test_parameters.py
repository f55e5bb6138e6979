from __future__ import annotations

import math

import pytest

from suture.methods.parameters import Parameter

DENSITY = Parameter("density", "share kept", "float", low=0.0, high=1.0, low_open=True, per_model=True)
T = Parameter("t", "way", "float", low=0.0, high=1.0)
COUNT = Parameter("count", "how many", "int", default=1, low=1)
WEIGHT = Parameter("weight", "share", "float")
FLAG = Parameter("normalize", "divide", "bool", default=True)
WORD = Parameter("rescale", "how", "choice", default="l1", choices=("expectation", "l1"))


@pytest.mark.parametrize(
    ("parameter", "value", "sentence"),
    [
        (DENSITY, 1.3, "density must be a float in (0, 1]. Got 1.3."),
        (DENSITY, 0.0, "density must be a float in (0, 1]. Got 0.0."),
        (T, -0.1, "t must be a float in [0, 1]. Got -0.1."),
        (T, "0.5", 't must be a float in [0, 1]. Got "0.5".'),
        (T, True, "t must be a float in [0, 1]. Got true."),
        (T, None, "t must be a float in [0, 1]. Got None."),
        (COUNT, 0, "count must be an int in [1, inf). Got 0."),
        (COUNT, 1.5, "count must be an int in [1, inf). Got 1.5."),
        (WEIGHT, math.nan, "weight must be a finite float. Got nan."),
        (WEIGHT, math.inf, "weight must be a finite float. Got inf."),
        (FLAG, 1, "normalize must be true or false. Got 1."),
        (WORD, "l2", 'rescale must be one of "expectation", "l1". Got "l2".'),
    ],
)
def test_a_bad_value_gives_one_sentence(parameter: Parameter, value: object, sentence: str) -> None:
    assert parameter.problem(value) == sentence


@pytest.mark.parametrize(
    ("parameter", "value"),
    [(DENSITY, 1), (DENSITY, 1e-300), (T, 0), (T, 1.0), (COUNT, 7), (WEIGHT, -2.5), (FLAG, False), (WORD, "l1")],
)
def test_a_good_value_gives_none(parameter: Parameter, value: object) -> None:
    assert parameter.problem(value) is None


def test_a_reserved_word_gets_an_underscore() -> None:
    assert Parameter("lambda", "factor", "float").argument == "lambda_"
    assert WEIGHT.argument == "weight"


def test_help() -> None:
    assert DENSITY.describe() == "density: share kept; a float in (0, 1], one for each model; required"
    assert FLAG.describe() == "normalize: divide; true or false; default true"
    assert WEIGHT.required
    assert not COUNT.required
