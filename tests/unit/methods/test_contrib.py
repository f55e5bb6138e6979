"""The methods that come as plug-ins, worked out by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from suture import kernels
from suture.methods import contrib
from suture.methods.contrib import aim, arrays, fisher, iso_c, iso_cts, knots, regmean, tsv, wudi
from suture.methods.derived import whole_tensor
from suture.methods.registry import METHODS, get_method

Merge = Callable[..., list[Any]]
Doubles = NDArray[np.float64]
BASE: Doubles = np.zeros((2, 2))
FIRST, SECOND = np.diag([4.0, 0.0]), np.diag([0.0, 2.0])


def test_every_module_is_an_entry_point() -> None:
    declared = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())["project"][
        "entry-points"
    ]["suture.methods"]
    modules = {path.stem for path in Path(contrib.__path__[0]).glob("*.py")} - {"__init__", "arrays"}
    assert set(declared) == modules
    assert declared == {name: f"suture.methods.contrib.{name}" for name in modules}
    assert {name for name, method in METHODS.items() if method.info.tier == "contrib"} >= modules


def test_consensus_drops_what_matters_to_one_alone(merge: Merge) -> None:
    # sum (3, 4, 0): X at 2 from it is at distance 1 (kept), at 0 at 4 (not); Y at 1 at 2, at 4 at 0
    given: dict[str, Any] = {"weight": (1, 1), "threshold": (0.5, 0.5), "lambda_": 0.5}
    assert merge("consensus", [0, 0, 0], [2, 0, 0], [1, 4, 0], least=2, **given) == [1.5, 0, 0]
    assert merge("consensus", [0, 0, 0], [2, 0, 0], [1, 4, 0], least=1, **given) == [1.5, 2, 0]
    assert merge("consensus", [0, 0, 0], [2, 0, 0], least=2, weight=(1,), threshold=(0.5,), lambda_=0.5) == [1, 0, 0]


def with_information(name: str, tensors: list[Any], information: list[Any], **params: Any) -> list[Any]:
    inputs, extra = ([np.array(x, np.float32) for x in group] for group in (tensors, information))
    method = get_method(name)
    out = whole_tensor(method, inputs, params=params, name="w", seed=0, backend=kernels, information=extra)
    return list(out.tolist())


def test_fisher_weighs_each_element() -> None:
    # the floor, a thousandth of the mean information 1, hardly matters where there is any
    out = with_information("fisher", [[0, 0, 0], [4, 4, 4]], [[3, 1, 0], [1, 1, 0]], weight=(1.0, 1.0), floor=1e-9)
    assert out == pytest.approx([1, 2, 2])
    assert with_information("fisher", [[0], [4]], [], weight=(1.0, 3.0), floor=1e-3) == [3]
    assert fisher.mean(np.array([3.0, 1.0]), {}, elements=2) == 1


def test_tsv_of_orthogonal_rank_ones_is_their_sum() -> None:
    np.testing.assert_allclose(np.abs(tsv.merged([FIRST, SECOND])), FIRST + SECOND, atol=1e-12)


def test_tsv_of_two_equal_task_vectors_splits_the_directions() -> None:
    # both lead with (1, 0): side by side [1 1; 0 0] / P = [1 1] / sqrt 2 in its row space
    merged = tsv.merged([FIRST, FIRST])
    assert merged[0, 0] == pytest.approx(4)


def test_iso_c_gives_all_directions_the_mean() -> None:
    np.testing.assert_allclose(iso_c.merged([FIRST, SECOND]), 3 * np.eye(2), atol=1e-12)


def test_iso_cts_keeps_an_own_direction_of_each() -> None:
    wide = [np.zeros((4, 4)) for _ in range(2)]
    wide[0][0, 0], wide[0][1, 1], wide[1][0, 0], wide[1][2, 2] = 5, 1, 5, 3
    # common half: (10 at 0, 3 at 2); own of the first outside these: 1 at 1; of the second none
    merged = iso_cts.merged(wide, 0.5)
    strength = (10 + 3 + 1 + 0) / 4
    np.testing.assert_allclose(np.abs(np.diag(merged))[:3], strength, atol=1e-9)


def test_knots_at_full_density_is_the_mean_of_those_that_agree() -> None:
    # [4 0 0 0; 0 0 0 2]: V_1 = e_1, V_2 = e_2 in the shared basis: no place holds two
    np.testing.assert_allclose(knots.merged([FIRST, SECOND], (1.0, 1.0), (1.0, 1.0)), FIRST + SECOND, atol=1e-12)
    np.testing.assert_allclose(knots.merged([FIRST, FIRST], (1.0, 1.0), (1.0, 1.0)), FIRST, atol=1e-12)


def test_knots_trims() -> None:
    row = np.array([[3.0, -2.0, 1.0, 0.5]])
    assert knots.ties([row], (2.0,), (0.5,)).tolist() == [[3, -2, 0, 0]]
    assert knots.ties([row, -row], (2.0, 1.0), (1.0, 1.0)).tolist() == [[3, -2, 1, 0.5]]


def test_wudi_of_orthogonal_task_vectors_is_their_sum() -> None:
    np.testing.assert_allclose(wudi.merged([FIRST, SECOND], 1e-6), FIRST + SECOND, atol=1e-6)


def test_wudi_of_equal_task_vectors_is_one_of_them() -> None:
    # in the direction of the rows the minimum is d; the ridge keeps 1e-8 / 2 of the sum
    np.testing.assert_allclose(wudi.merged([FIRST, FIRST], 1e-8), FIRST, atol=1e-6)


def test_regmean_follows_the_model_that_sees_the_feature() -> None:
    x, y = np.array([[1, 1]], np.float32), np.array([[3, 5]], np.float32)
    grams = [np.diag([3.0, 0.0]), np.diag([1.0, 2.0])]
    assert regmean.matrix([x, y], information=grams, scale=0.9).tolist() == [[1.5, 5]]
    silent = [np.diag([1.0, 0.0]), np.diag([1.0, 0.0])]
    assert regmean.matrix([x, y], information=silent, scale=0.9).tolist() == [[2, 3]]
    assert regmean.matrix([x, y], information=[None, None], scale=0.9).tolist() == [[2, 3]]


def test_aim_holds_large_features_back() -> None:
    grams = [np.diag([9.0, 1.0])]  # amplitudes 1 and 1/3: factors 0.4 and 0.8
    base, x = np.array([[1, 1]], np.float32), np.array([[2, 3]], np.float32)
    out = aim.matrix([base, x], information=grams, weight=(1.0,), lambda_=1.0, omega=0.4)
    np.testing.assert_allclose(out, [[1.4, 2.6]], rtol=1e-6)
    plain = aim.matrix([base, x], information=[None], weight=(1.0,), lambda_=1.0, omega=0.4)
    assert plain.tolist() == x.tolist()


@pytest.mark.parametrize("name", ["tsv", "iso_c", "iso_cts", "wudi", "knots"])
def test_vectors_get_the_mean_and_kernels_keep_their_shape(name: str) -> None:
    method = get_method(name)
    params: dict[str, Any] = {p.argument: (1.0, 1.0) if p.per_model else p.default for p in method.info.parameters}
    vectors = [np.array(v, np.float32) for v in ([0, 0], [2, 0], [0, 4])]
    given = {"params": params, "name": "w", "seed": 0, "backend": kernels}
    assert whole_tensor(method, vectors, **given).tolist() == [1, 2]
    rng = np.random.default_rng(0)
    cubes = [rng.standard_normal((4, 3, 2)).astype(np.float32) for _ in range(3)]
    assert whole_tensor(method, cubes, **given).shape == (4, 3, 2)
    assert method.memory((4, 3, 2), 3) > 8 * 24 * 3  # type: ignore[union-attr]


def test_moved_keeps_the_bits_of_what_does_not_move() -> None:
    out = arrays.moved(np.array([-0.0, 1.0], np.float32), np.array([0.0, 1.0]))
    assert np.signbit(out[0])
    assert out[1] == 2
