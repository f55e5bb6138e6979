from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from suture.methods.derived import conclude, row_stretch, segment_length, waves
from suture.methods.registry import get_method
from suture.methods.shapes import Reduction


def nothing(*_: Any, **__: Any) -> Any:
    return np.zeros(1)


def test_reductions_go_by_waves() -> None:
    first, second = Reduction("first", nothing), Reduction("second", nothing, after=("first",))
    third, beside = Reduction("third", nothing, after=("first", "second")), Reduction("beside", nothing)
    found = [[r.name for r in wave] for wave in waves([third, first, second, beside])]
    assert found == [["first", "beside"], ["second"], ["third"]]


def test_reductions_that_wait_for_one_another_are_an_error() -> None:
    with pytest.raises(ValueError, match="wait for one another: a, b"):
        list(waves([Reduction("a", nothing, after=("b",)), Reduction("b", nothing, after=("a",))]))


def test_sums_are_added_segments_kept_apart_and_what_is_not_needed_concludes_from_none() -> None:
    def shown(sums: Any, found: Any, *, elements: int) -> Any:
        return None if sums is None else sums.tolist(), elements

    wave = [Reduction("sum", nothing, conclude=shown), Reduction("apart", nothing, by="segment", conclude=shown)]
    wave += [Reduction("count", nothing, by="count", conclude=shown), Reduction("idle", nothing, conclude=shown)]
    parts = {name: [np.array([1, 2]), np.array([3, 4])] for name in ("sum", "apart", "count")}
    assert conclude(wave, parts, {}, 7, {}) == {
        "sum": ([4, 6], 7),
        "apart": ([[1, 2], [3, 4]], 7),
        "count": ([4, 6], 7),
        "idle": (None, 7),
    }


def test_segments_hold_whole_rows_where_asked() -> None:
    della: Any = get_method("della")
    assert segment_length(della, 30, {"density": (0.5,)}, 64) == 90
    assert segment_length(della, 30, {"density": (1.0,)}, 64) == 64
    assert row_stretch(100, 64) == 100
    assert row_stretch(0, 64) == 64
