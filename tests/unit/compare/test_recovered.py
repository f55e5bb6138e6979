"""What a comparison of parents and merges holds beyond contrasts: recovered shares, families, floors, signatures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from suture.compare.compare import compare
from suture.compare.statistics import permutation
from suture.compare.verdicts import Comparison, Margin
from suture.errors import BadInputError, IncompatibleError, UsageError
from suture.evaluate.items import ItemRow, write_rows

Write = Callable[..., Path]
MARGIN = Margin("medical", "quiz", "right", 0.1, "agreed")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(
        label: str, scores: Mapping[str, Sequence[float]], *, task: str = "quiz", per: int = 1, key: object = None
    ) -> Path:
        n = len(next(iter(scores.values())))
        rows = [
            ItemRow(
                label, task, f"q{i:03d}", f"c{i // per:03d}", f"p{i}",
                scores={metric: float(values[i]) for metric, values in scores.items()},
            )
            for i in range(n)
        ]  # fmt: skip
        write_rows(tmp_path / label / task, rows, {"key": key or {}})
        return tmp_path / label

    return write


def three(write: Write, **scores: Sequence[float]) -> Comparison:
    folders = {label: write(label, {"score": values}) for label, values in scores.items()}
    return compare(folders, against=["general", "clinical"])


def test_the_recovered_share_by_hand(write: Write) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, size=(3, 40))
    found = three(write, general=5 + noise[0], clinical=1 + noise[1], merge=4 + noise[2])
    (row,) = found.recovered
    gap = (5 + noise[0] - 1 - noise[1]).mean()
    assert (row.model, row.general, row.clinical, row.n) == ("merge", "general", "clinical", 40)
    assert row.value == pytest.approx((4 + noise[2] - 1 - noise[1]).mean() / gap)
    assert row.interval.low < 0.75 < row.interval.high
    assert row.interval.high - row.interval.low < 0.05


def test_a_recovered_share_says_why_it_has_no_interval(write: Write) -> None:
    noise = np.random.default_rng(1).normal(size=(3, 30))
    same = three(write, general=noise[0], clinical=noise[1], merge=noise[2]).recovered[0]
    assert "unbounded" in same.interval.method
    equal = three(write, general=noise[0], clinical=noise[0], merge=noise[2]).recovered[0]
    assert math.isnan(equal.value)
    assert equal.interval.method == "undefined: the parents score the same on every item"
    copy = three(write, general=noise[0] + 9, clinical=noise[1], merge=noise[1]).recovered[0]
    assert copy.value == 0.0
    assert copy.interval.method == "undefined: no item tells the model from a parent"


def test_one_parent_gives_no_recovered_share(write: Write) -> None:
    folders = {label: write(label, {"score": [1.0, 2.0]}) for label in ("general", "merge")}
    assert compare(folders, against=["general"]).recovered == ()


def test_primary_metrics_are_those_with_a_margin_or_those_named(write: Write) -> None:
    scores = {"right": [1, 0, 1, 1, 0, 1], "other": [0.1, 0.4, 0.2, 0.5, 0.3, 0.6]}
    folders = {label: write(label, scores) for label in ("general", "merge")}
    families = {c.metric: c.family for c in compare(folders, against=["general"], margins=[MARGIN]).contrasts}
    assert families == {"right": "primary", "other": "secondary"}
    named = compare(folders, against=["general"], margins=[MARGIN], primary=[("quiz", "other")])
    assert {c.metric: c.family for c in named.contrasts} == {"right": "secondary", "other": "primary"}
    assert named.primary == (("quiz", "other"),)
    with pytest.raises(UsageError, match="primary quiz nothing"):
        compare(folders, against=["general"], primary=[("quiz", "nothing")])


def test_clustered_flips_are_tested_by_cluster_and_mcnemar_stands_beside(write: Write) -> None:
    general, merge = [1.0] * 12, [0.0] * 6 + [1.0] * 6
    folders = {"general": write("general", {"right": general}, per=3), "merge": write("merge", {"right": merge}, per=3)}
    (row,) = compare(folders, against=["general"]).contrasts
    clusters = [f"{i // 3}" for i in range(12)]
    assert (row.n, row.clusters, row.test) == (12, 4, "paired permutation by cluster")
    assert row.p_value == permutation(np.array(merge) - np.array(general), clusters)
    assert row.p_value == pytest.approx(0.5, abs=0.02)  # both of two flipped clusters to one side
    assert row.mcnemar_p == pytest.approx(2 / 2**6)


def test_flips_have_intervals_and_are_corrected_for_the_chance_floor(write: Write) -> None:
    general, merge = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 4, [1, 1, 1, 0, 0, 0, 0, 0, 0, 1] * 4
    folders = {label: write(label, {"right": v}) for label, v in (("general", general), ("merge", merge))}
    floor = write("floor-chance", {"right": [0.25] * 40})
    (row,) = compare(folders, against=["general"], floors={"chance": floor}).contrasts
    assert (row.forgotten, row.gained, row.flip_rate, row.chance) == pytest.approx((0.2, 0.1, 0.3, 0.25))
    assert row.forgotten_above_chance == pytest.approx((0.2 - 0.4 / 3) / 0.75)
    assert row.gained_above_chance == 0.0
    for value, interval in ((0.2, row.forgotten_interval), (0.1, row.gained_interval), (0.3, row.flip_interval)):
        assert interval.low < value < interval.high
    assert row.retention_interval.low < row.retention < row.retention_interval.high
    (plain,) = compare(folders, against=["general"]).contrasts
    assert math.isnan(plain.chance)
    assert math.isnan(plain.forgotten_above_chance)


def test_the_spread_of_continuous_differences_is_kept(write: Write) -> None:
    general, merge = np.zeros(21), np.arange(-10.0, 11.0)
    folders = {"general": write("general", {"m": general}), "merge": write("merge", {"m": merge})}
    (row,) = compare(folders, against=["general"]).contrasts
    assert row.quantiles == pytest.approx((-10, -9, -5, 0, 5, 9, 10))
    assert sum(row.histogram) == 21
    assert row.sd == pytest.approx(merge.std(ddof=1))
    assert row.worst_items == tuple(f"q{i:03d}" for i in range(10))


def test_floors_of_other_items_are_left_out_and_noted(write: Write) -> None:
    folders = {label: write(label, {"right": [1, 0, 1, 0]}) for label in ("general", "merge")}
    found = compare(folders, against=["general"], floors={"constant": write("floor-constant", {"right": [1, 0, 1]})})
    assert found.floors == ()
    assert found.notes == ("quiz: the floor constant answered other items and is left out.",)


def test_scores_without_a_floor_say_where_floors_come_from(write: Write) -> None:
    folders = {label: write(label, {"accuracy": [1, 0, 1, 0]}) for label in ("general", "merge")}
    (note,) = compare(folders, against=["general"]).notes
    assert note.startswith("No floor is shown for quiz, and flips are not corrected for guessing")
    assert "--floors" in note
    floors = {"chance": write("floor-chance", {"accuracy": [0.25] * 4})}
    assert compare(folders, against=["general"], floors=floors).notes == ()
    others = {label: write(f"{label}-nll", {"answer_nll": [1, 0, 1, 0]}) for label in ("general", "merge")}
    assert compare(others, against=["general"]).notes == ()


def test_a_metric_of_which_a_floor_scores_above_one_is_no_share(write: Write) -> None:
    folders = {label: write(label, {"bleu": [0.0] * 12}) for label in ("general", "merge")}
    (row,) = compare(folders, against=["general"]).contrasts
    assert row.test == "exact McNemar"  # nothing tells a 0/1 metric of which all is wrong from another one
    (row,) = compare(folders, against=["general"], floors={"copy": write("floor-copy", {"bleu": [9.0] * 12})}).contrasts
    assert row.test == "paired permutation"
    assert math.isnan(row.forgotten)


def test_unscored_items_are_counted_in_a_note(write: Write) -> None:
    folders = {
        "general": write("general", {"m": [1.0, 2.0, 3.0]}),
        "merge": write("merge", {"m": [1.5, math.nan, math.nan]}),
    }
    found = compare(folders, against=["general"])
    assert found.notes == ("quiz m: 2 of 3 items of merge are unscored and left out.",)
    folders["clinical"] = write("clinical", {"m": [math.nan, 2.0, math.nan]})
    found = compare(folders, against=["general"])
    assert found.notes == ("quiz m: 2 of 3 items of merge, clinical are unscored and left out.",)


def test_signatures_and_prompts_are_kept_and_other_settings_refused(write: Write) -> None:
    scores = {"rougeL": [0.1, 0.2, 0.3]}
    one = {"signatures": {"rougeL": "stemmer"}, "decoding": {"batch_size": 8}}
    folders = {"general": write("general", scores, key=one), "merge": write("merge", scores, key=one)}
    found = compare(folders, against=["general"])
    assert found.signatures == {"quiz": {"rougeL": "stemmer"}}
    assert set(found.prompts) == {"quiz"}
    assert len(found.prompts["quiz"]) == 64
    write("merge", scores, key=one | {"decoding": {"batch_size": 16}})
    noted = compare(folders, against=["general"]).notes
    assert noted[0] == "quiz: decoding batch size differs: 8 (general); 16 (merge)."
    write("merge", scores, key=one | {"signatures": {"rougeL": "no stemmer"}})
    with pytest.raises(IncompatibleError, match=r"task quiz, metric rougeL: .*no stemmer \(merge\)"):
        compare(folders, against=["general"])


def test_models_without_a_common_task_are_refused(write: Write) -> None:
    folders = {"general": write("general", {"m": [1.0]}), "merge": write("merge", {"m": [1.0]}, task="other")}
    with pytest.raises(IncompatibleError, match="merge: A model must share a task"):
        compare(folders, against=["general"])


def test_a_file_that_is_no_comparison_is_refused(tmp_path: Path) -> None:
    from suture.compare.verdicts import read_comparison

    for text in ("[]", "{}", "not json", '{"models": 3}'):
        (tmp_path / "comparison.json").write_text(text)
        with pytest.raises(BadInputError, match=r"comparison\.json"):
            read_comparison(tmp_path / "comparison.json")
