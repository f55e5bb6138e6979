"""A comparison of small written tables: every number by hand, every verdict, every refusal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from suture.compare.compare import compare
from suture.compare.contrasts import judge
from suture.compare.power import smallest_margin
from suture.compare.verdicts import Comparison, Interval, Margin, read_comparison, write_comparison
from suture.errors import BadInputError, IncompatibleError, UsageError
from suture.evaluate.items import ItemRow, write_rows

GENERAL = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
MERGE = [0, 1, 1, 1, 1, 1, 1, 1, 0, 0]
MARGIN = Margin("instruction", "quiz", "right", 0.3, "agreed", 0.4, "pilot")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(
        label: str, values: Sequence[float], *, task: str = "quiz", metric: str = "right", change: int = 0
    ) -> Path:
        rows = [
            ItemRow(label, task, f"q{i}", f"c{i}", "changed" if i < change else f"p{i}", scores={metric: float(value)})
            for i, value in enumerate(values)
        ]
        write_rows(tmp_path / label / task, rows, {"task": task})
        return tmp_path / label

    return write


def run(results: Mapping[str, Path], **options: object) -> Comparison:
    settings = {"against": ["general"], "floors": {}, "margins": [MARGIN], **options}
    return compare(results, **settings)  # type: ignore[arg-type]


def test_transitions_retention_and_difference_by_hand(write: Write) -> None:
    found = run({"general": write("general", GENERAL), "merge": write("merge", MERGE)})
    row = found.contrast("merge", "general", "quiz", "right")
    assert row is not None
    assert (row.n, row.clusters) == (10, 10)
    assert row.forgotten_items == ("q0",)
    assert (row.test, row.p_value) == ("exact McNemar", pytest.approx(1.0))
    assert row.gained_items == ("q6", "q7")
    assert (row.forgotten, row.gained) == pytest.approx((0.1, 0.2))
    assert row.difference == pytest.approx(0.1)
    assert row.retention == pytest.approx(7 / 6)
    assert row.margin == 0.3
    assert row.mde == pytest.approx(
        smallest_margin(10, (row.interval.high - row.interval.low) / 2 / 1.96 * math.sqrt(10)), rel=1e-3
    )
    assert found.models == ("general", "merge")
    assert found.digests == {"general": "general", "merge": "merge"}
    score = found.score("merge", "quiz", "right")
    assert score is not None
    assert (score.value, score.n) == (0.7, 10)
    assert found.contrast("general", "general", "quiz", "right") is None


def test_unscored_items_are_dropped_pairwise(write: Write) -> None:
    merge = [math.nan, *MERGE[1:9], math.nan]
    general = [*GENERAL[:8], math.nan, GENERAL[9]]
    found = run({"general": write("general", general), "merge": write("merge", merge)})
    row = found.contrast("merge", "general", "quiz", "right")
    assert row is not None
    assert row.n == 7
    assert row.forgotten_items == ()
    assert row.retention == pytest.approx(7 / 5)
    assert found.score("merge", "quiz", "right").n == 8  # type: ignore[union-attr]


def test_continuous_metrics_have_no_transitions_and_a_clustered_mde(write: Write) -> None:
    a, b = [3.0, 5.0, 4.0, 9.0], [2.0, 6.0, 1.0, 7.0]  # differences -1, 1, -3, -2: mean -1.25, sd 1.7078
    found = run({"general": write("general", a), "merge": write("merge", b)}, margins=[])
    row = found.contrasts[0]
    assert row.difference == pytest.approx(-1.25)
    assert row.retention == pytest.approx(16 / 21)
    assert row.forgotten_items == ()
    assert math.isnan(row.forgotten)
    assert math.isnan(row.gained)
    assert row.mde == pytest.approx(smallest_margin(4, np.std([-1, 1, -3, -2], ddof=1)))
    assert row.verdict == "descriptive"
    assert math.isnan(row.margin)


def test_retention_of_a_negative_mean_is_undefined(write: Write) -> None:
    found = run({"general": write("general", [-3.0, -2.5]), "merge": write("merge", [-2.0, -2.2])}, margins=[])
    assert math.isnan(found.contrasts[0].retention)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.05, 0.10, "kept"),  # no loss established, none beyond the margin
        (0.02, 0.10, "kept"),  # a gain
        (-0.09, -0.01, "kept"),  # a loss, smaller than the margin
        (-0.30, -0.01, "forgotten"),  # a loss, not shown to be tolerable
        (-0.30, -0.15, "forgotten"),  # a loss beyond the margin as a whole
        (-0.30, 0.20, "not established at this n"),
        (-0.10, 0.00, "not established at this n"),  # both ends on their bounds
        (math.nan, math.nan, "not established at this n"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert judge(Interval(low, high, 0.95, "test"), 0.1) == verdict
    assert judge(Interval(-high, -low, 0.95, "test"), 0.1, -1) == verdict
    assert judge(Interval(low, high, 0.95, "test"), 0.1, headroom=False) == "no headroom"
    assert judge(Interval(low, high, 0.95, "test"), math.nan) == "descriptive"


def test_less_is_better_for_fabrication(write: Write) -> None:
    margin = replace(MARGIN, metric="fact_fabrication", value=0.1)
    few = write("general", [0.0] * 40, metric="fact_fabrication")
    many = write("merge", [0.0, 1.0] * 20, metric="fact_fabrication")
    row = run({"general": few, "merge": many}, margins=[margin]).contrasts[0]
    assert row.difference == pytest.approx(0.5)
    assert row.verdict == "forgotten"
    assert math.isnan(row.forgotten)
    assert math.isnan(row.retention)


def test_different_prompts_are_refused_with_task_and_count(write: Write) -> None:
    with pytest.raises(
        IncompatibleError, match=r"task quiz, general and merge: .*3 of 10 items with different prompts"
    ):
        run({"general": write("general", GENERAL), "merge": write("merge", MERGE, change=3)})


def test_different_items_are_refused_for_every_task_at_once(write: Write) -> None:
    general, merge = write("general", GENERAL), write("merge", MERGE[:8])
    write("general", GENERAL, task="other")
    write("merge", MERGE, task="other", change=1)
    with pytest.raises(IncompatibleError) as caught:
        run({"general": general, "merge": merge})
    assert [problem.got for problem in caught.value.problems] == [
        "1 of 10 items with different prompts",
        "2 items of only one of them",
    ]


def test_a_task_that_one_model_lacks_is_noted(write: Write) -> None:
    general, merge = write("general", GENERAL), write("merge", MERGE)
    write("general", GENERAL, task="other")
    found = run({"general": general, "merge": merge})
    assert found.notes == ("other was not evaluated for merge.",)
    assert found.contrast("merge", "general", "other", "right") is None


def test_requests_without_an_answer_are_refused_together(write: Write) -> None:
    results = {"general": write("general", GENERAL)}
    absent, negative = replace(MARGIN, task="absent"), replace(MARGIN, value=-0.1)
    drift = replace(MARGIN, metric="kl_to_general")
    with pytest.raises(UsageError) as caught:
        run(results, against=["clinical"], margins=[MARGIN, absent, negative, drift])
    said = str(caught.value)
    for part in ("'clinical'", "margin of absent right", "positive number", "drift", "one margin"):
        assert part in said


def test_unreadable_results_are_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(BadInputError, match="no task folder"):
        run({"general": tmp_path / "nowhere"}, margins=[])
    twice = [ItemRow("d", "quiz", "q0", "c", "p", scores={"right": 1.0})] * 2
    write_rows(tmp_path / "twice" / "quiz", twice, {})
    with pytest.raises(BadInputError, match="1 repeated items"):
        run({"general": tmp_path / "twice"}, margins=[])
    mixed = [ItemRow(digest, "quiz", digest, "c", "p", scores={"right": 1.0}) for digest in "ab"]
    write_rows(tmp_path / "mixed" / "quiz", mixed, {})
    with pytest.raises(BadInputError, match="one model"):
        run({"general": tmp_path / "mixed"}, margins=[])


def test_no_headroom_gives_no_verdict(write: Write) -> None:
    results = {"general": write("general", GENERAL), "merge": write("merge", MERGE)}
    floor = write("floor-constant", [1, 1, 1, 1, 0, 0, 0, 0, 1, 0])
    found = run(results, floors={"constant": floor})
    assert found.axes[0].headroom is False
    assert found.contrasts[0].verdict == "no headroom"


def test_the_order_of_items_in_a_file_does_not_matter(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    values = {label: generator.normal(size=30) for label in ("general", "merge")}
    found = []
    for place, order in (("forward", range(30)), ("backward", range(29, -1, -1))):
        for label, scores in values.items():
            rows = [ItemRow(label, "t", f"{i:02d}", f"{i // 2}", "p", scores={"m": float(scores[i])}) for i in order]
            write_rows(tmp_path / place / label / "t", rows, {})
        folders = {label: tmp_path / place / label for label in values}
        found.append(compare(folders, against=["general"], floors={}, margins=[]))
    assert str(found[0]) == str(found[1])  # as text, since NaN is not equal to itself


def test_comparison_survives_writing_with_nan(tmp_path: Path, write: Write) -> None:
    results = {"general": write("general", [1.0, 2.5, 3.0]), "merge": write("merge", [2.0, 2.0, 2.0])}
    found = run(results)
    assert math.isnan(found.contrasts[0].forgotten)
    assert math.isnan(found.axes[0].floor_value)
    write_comparison(tmp_path / "comparison.json", found)
    assert "NaN" not in (tmp_path / "comparison.json").read_text()
    assert str(asdict(read_comparison(tmp_path / "comparison.json"))) == str(asdict(found))


def test_a_metric_is_binary_for_all_models_or_for_none(write: Write) -> None:
    """A model that scores 0 throughout on a continuous metric does not make it a 0/1 metric."""
    zero, other = write("general", [0.0] * 12), write("merge", [0.0] * 12)
    third = write("third", [0.25 * step for step in range(12)])
    found = run({"general": zero, "merge": other, "third": third}, margins=[])
    assert [row.interval.method for row in found.contrasts] == ["constant", "BCa bootstrap by cluster"]
    assert all(math.isnan(row.forgotten) for row in found.contrasts)
