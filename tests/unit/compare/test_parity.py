from __future__ import annotations

import numpy as np
import pytest

from suture.compare.parity import Curves, from_then_on
from suture.errors import UsageError

GRID = (0, 16, 64, 256)


def _cells(means: dict[str, tuple[float, ...]], items: int = 40, seeds: int = 3, noise: float = 0.0, seed: int = 0):  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(seed)
    return {
        (start, shots): mean + noise * generator.standard_normal((1 if shots == 0 else seeds, items))
        for start, row in means.items()
        for shots, mean in zip(GRID, row, strict=True)
    }


CLUSTERS = [str(i // 2) for i in range(40)]


@pytest.mark.parametrize(
    ("holds", "place"),
    [
        ([True, True], 0),
        ([False, True], 1),
        ([True, False, True], 2),
        ([True, False], None),
        ([False, False], None),
        ([], None),
    ],
)
def test_a_place_from_which_on_everything_holds(holds: list[bool], place: int | None) -> None:
    assert from_then_on(holds) == place


def test_without_noise_parity_is_where_the_curve_stays_within_the_margin_of_both_rivals() -> None:
    cells = _cells({"merged": (0, 6, 9.5, 11), "general": (0, 1, 5, 8), "clinical": (1, 4, 7, 10)})
    found = Curves(cells, CLUSTERS, resamples=50).parity("merged", ("general", "clinical"), 1.0)
    assert (found.established, found.estimate, found.low, found.high) == (64, 64, 64, 64)
    assert found.shares == {0: 0.0, 16: 0.0, 64: 1.0, 256: 0.0}
    gaps = {(row.shots, row.rival): (row.difference, row.holds) for row in found.rivalries}
    assert gaps[16, "general"] == (-2.0, False)
    assert gaps[64, "clinical"] == (-0.5, True)


def test_a_curve_that_falls_again_has_not_reached_parity_at_its_first_crossing() -> None:
    cells = _cells({"merged": (0, 10, 5, 10), "general": (0, 0, 0, 10), "clinical": (0, 0, 0, 10)})
    assert Curves(cells, CLUSTERS, resamples=50).parity("merged", ("general", "clinical"), 1.0).established == 256


def test_not_reached_is_a_value() -> None:
    cells = _cells({"merged": (0, 1, 2, 3), "general": (0, 0, 0, 10), "clinical": (0, 0, 0, 2)})
    found = Curves(cells, CLUSTERS, resamples=50).parity("merged", ("general", "clinical"), 1.0)
    assert (found.established, found.estimate, found.low, found.high) == (None, None, None, None)
    assert found.not_reached == 1.0


def test_a_claim_asks_for_more_than_the_means_do() -> None:
    means = {"merged": (0.0, 9.2, 9.2, 9.2), "general": (0.0, 0.0, 0.0, 10.0), "clinical": (0.0, 0.0, 0.0, 9.0)}
    found = Curves(_cells(means, noise=2.0, seed=1), CLUSTERS).parity("merged", ("general", "clinical"), 1.0)
    assert found.estimate is not None
    assert found.established is None


def test_shares_add_up_and_the_interval_covers_the_estimate() -> None:
    means = {"merged": (0.0, 8.0, 9.5, 10.0), "general": (0.0, 0.0, 0.0, 10.0), "clinical": (0.0, 0.0, 0.0, 9.0)}
    found = Curves(_cells(means, noise=4.0), CLUSTERS).parity("merged", ("general", "clinical"), 1.0)
    assert sum(found.shares.values()) + found.not_reached == pytest.approx(1.0)
    places = {None: 9, 0: 0, 16: 1, 64: 2, 256: 3}
    assert places[found.low] <= places[found.estimate] <= places[found.high]


def test_a_point_of_a_curve_is_the_mean_and_its_interval_that_of_seeds_and_clusters() -> None:
    cells = _cells({"merged": (1.0, 2.0, 3.0, 4.0)}, noise=1.0)
    points = Curves(cells, CLUSTERS).points()
    assert [(point.shots, point.seeds) for point in points] == [(0, 1), (16, 3), (64, 3), (256, 3)]
    assert points[1].value == pytest.approx(cells["merged", 16].mean())
    assert points[1].interval.low < points[1].value < points[1].interval.high


def test_seeds_that_differ_widen_the_interval() -> None:
    still = {("merged", 0): np.zeros((1, 40)), ("merged", 16): np.zeros((3, 40))}
    moved = {("merged", 0): np.zeros((1, 40)), ("merged", 16): np.repeat([[-1.0], [0.0], [1.0]], 40, axis=1)}
    narrow, wide = (Curves(cells, CLUSTERS).points()[1].interval for cells in (still, moved))
    assert narrow.high - narrow.low == 0
    assert wide.high - wide.low > 1


def test_the_first_crossing_comes_too_early_and_parity_does_not() -> None:
    """Curves that never come within the margin: a first crossing of noisy means is found often, parity seldom."""
    generator = np.random.default_rng(7)
    grid = (1, 2, 4, 8, 16, 32, 64, 128)
    first = ours = 0
    for number in range(200):
        cells = {("merged", n): generator.normal(-1.3, 1.5, (3, 12)) for n in grid}
        cells |= {(rival, 128): generator.normal(0.0, 1.5, (3, 12)) for rival in ("general", "clinical")}
        curves = Curves(cells, [str(i) for i in range(12)], seed=number, resamples=60)
        rivals = max(curves.mean((rival, 128)) for rival in ("general", "clinical"))
        first += any(curves.mean(("merged", n)) > rivals - 1.0 for n in grid)
        ours += curves.parity("merged", ("general", "clinical"), 1.0).established is not None
    assert first > 60
    assert ours < 10


def test_cells_that_do_not_fit_are_named_all_at_once() -> None:
    cells = {
        ("merged", 0): np.zeros((1, 40)),
        ("merged", 16): np.zeros((3, 40)),
        ("general", 16): np.zeros((2, 40)),
        ("clinical", 16): np.zeros((3, 39)),
        ("clinical", 0): np.full((1, 40), np.nan),
    }
    with pytest.raises(UsageError) as caught:
        Curves(cells, CLUSTERS)
    assert [problem.where for problem in caught.value.problems] == [
        "general, 16 shots", "clinical, 16 shots", "clinical, 0 shots",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="none of general at 256 shots"):
        Curves({("merged", 256): np.zeros((3, 40))}, CLUSTERS).parity("merged", ("general",), 1.0)
