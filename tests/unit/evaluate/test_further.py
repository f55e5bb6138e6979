"""Scores added to answers that are there: composites by hand, plug-ins, what is lacking, and no second asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suture.data.records import Choice, Record
from suture.errors import UsageError
from suture.evaluate import further, run
from suture.evaluate.further import Further, add_scores, is_written, plan_further
from suture.evaluate.items import ItemRow, read_meta, read_rows, write_rows
from suture.evaluate.metrics import bertscore, plugins
from suture.evaluate.run import Workload, evaluate_model
from suture.tasks.registry import get_task
from suture.testing.tiny import tiny_model

PARTS = {"rouge1": 10.0, "rouge2": 20.0, "rougeL": 30.0, "bleu": 40.0, "meteor": 50.0, "rougeLsum": 60.0}
RECORDS = [Record(f"r{k}", "s", f"e{k}", "", "input", f"target {k}", "test", "own") for k in range(3)]


class Overlap:
    """A plug-in: per cent of the reference's letters in the response."""

    calls = 0

    def signature(self) -> str:
        return "overlap 1"

    def scores(self, responses: Sequence[str], references: Sequence[str]) -> list[float]:
        self.calls += 1
        return [
            100.0 * len(set(one) & set(two)) / len(set(two)) for one, two in zip(responses, references, strict=True)
        ]


@pytest.fixture(autouse=True)
def no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bertscore.VARIABLE, raising=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rows = [
        ItemRow("d", "notes", record.id, record.encounter, "p", response=f"target {k}" if k else "", scores=PARTS)
        for k, record in enumerate(RECORDS)
    ]
    write_rows(tmp_path / "notes", rows, {"key": {"signatures": {}}, "items": 3})
    return tmp_path / "notes"


def installed(monkeypatch: pytest.MonkeyPatch, **found: Any) -> None:
    monkeypatch.setattr(plugins, "find", found.get)


def test_a_composite_is_the_mean_of_an_item_s_scores_and_absent_ones_have_no_column(place: Path) -> None:
    add_scores(place, RECORDS, plan_further())
    rows, meta = read_rows(place), read_meta(place)
    assert [row.scores["plain"] for row in rows] == [pytest.approx(30.0)] * 3
    assert not {"acibench", "discharge-me", "bertscore_f1", "medcon"} & rows[0].scores.keys()
    said = meta["further"]
    assert said["signatures"] == {
        "plain": "mean(rouge1, rouge2, rougeL, bleu, meteor) of this task's scores, needs no weights; Suture"
    }
    assert said["not computed"]["acibench"] == "needs bertscore_f1, bleurt, medcon"
    assert "--encoder" in said["not computed"]["bertscore_f1"]
    assert "UMLS" in said["not computed"]["medcon"]
    assert meta["items"] == 3  # what was there stays


def test_a_plug_in_is_scored_once_and_completes_a_composite(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Overlap()
    installed(monkeypatch, medcon=ours)
    own = place.parent / "own.yaml"
    own.write_text("composites:\n  mine:\n    mean: [[rouge1, rouge2], medcon]\n    source: here\n")
    for _ in range(2):
        add_scores(place, RECORDS, plan_further(composite_file=own))
    assert ours.calls == 1
    rows = read_rows(place)
    assert [row.scores["medcon"] for row in rows] == pytest.approx([0.0, 100.0, 100.0])
    assert [row.scores["mine"] for row in rows] == pytest.approx([7.5, 57.5, 57.5])
    said = read_meta(place)["further"]
    assert said["signatures"]["medcon"] == "overlap 1"
    assert said["signatures"]["mine"] == "mean(mean(rouge1, rouge2), medcon) of this task's scores, here"
    assert said["not computed"]["acibench"] == "needs bertscore_f1, bleurt"


def test_another_signature_is_scored_again_and_scores_not_asked_for_stay(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Overlap()
    installed(monkeypatch, medcon=ours)
    add_scores(place, RECORDS, plan_further())
    monkeypatch.setattr(Overlap, "signature", lambda _: "overlap 2")
    add_scores(place, RECORDS, plan_further())
    assert ours.calls == 2
    installed(monkeypatch)
    add_scores(place, RECORDS, plan_further())
    assert read_meta(place)["further"]["signatures"]["medcon"] == "overlap 2"
    assert "medcon" in read_rows(place)[0].scores


def test_a_task_without_a_composite_s_parts_says_which(place: Path) -> None:
    rows = [replace(row, scores={"rougeL": 1.0}) for row in read_rows(place)]
    write_rows(place, rows, {})
    add_scores(place, RECORDS, plan_further())
    assert read_rows(place) == rows
    assert read_meta(place)["further"]["not computed"]["plain"] == "needs rouge1, rouge2, bleu, meteor"


def test_a_kill_between_rows_and_meta_leaves_a_finished_task(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("suture.evaluate.items._write_meta", killed)
        with pytest.raises(KeyboardInterrupt):
            add_scores(place, RECORDS, plan_further())
    assert len(read_rows(place)) == 3
    add_scores(place, RECORDS, plan_further())
    assert "plain" in read_meta(place)["further"]["signatures"]


def test_a_composite_of_an_unknown_metric_is_refused_at_once(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("composites:\n  mine:\n    mean: [rouge9]\n")
    with pytest.raises(UsageError, match="rouge9"):
        plan_further(composite_file=own)


def test_only_tasks_with_a_reference_are_scored_so() -> None:
    choice = Workload(get_task("clinic_mcq"), [Choice("q", "e", "Which?", ("a", "b"), 0)])
    assert not is_written(choice)
    assert is_written(Workload(get_task("clinic_summary"), RECORDS))


def test_an_encoder_named_later_is_used_without_asking_the_model_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(tmp_path / "tiny", seed=1)
    work = [Workload(replace(get_task("clinic_summary"), max_new_tokens=4), RECORDS)]
    place = evaluate_model(model, work, tmp_path / "r", digest="d" * 64, further=plan_further())["clinic_summary"]
    assert "bertscore_f1" not in read_rows(place)[0].scores
    monkeypatch.setattr(run, "load_model", lambda *_, **__: pytest.fail("the model was loaded again"))
    monkeypatch.setattr(bertscore, "signature", lambda _: "an encoder")
    monkeypatch.setattr(bertscore, "scores", lambda responses, *_: [80.0] * len(responses))
    later = Further(bertscore.Encoder(tmp_path, 1), {}, plan_further().composites)
    evaluate_model(model, work, tmp_path / "r", digest="d" * 64, further=later)
    assert {row.scores["bertscore_f1"] for row in read_rows(place)} == {80.0}
    said = read_meta(place)["further"]
    assert said["signatures"]["bertscore_f1"] == "an encoder"
    assert "bertscore_f1" not in said["not computed"]
    assert (place / "items.parquet").stat().st_mode & 0o777 == 0o600


def test_what_is_lacking_names_every_composite_it_stops() -> None:
    found = plan_further().lacking()
    assert next(iter(found)) == "bertscore_f1"
    assert found["discharge-me"] == "needs bertscore_f1, alignscore, medcon"
    assert "plain" not in found
    assert further.BERTSCORE in found


def test_a_floor_is_scored_by_its_answers_which_a_suite_s_task_does_not_keep(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from suture.evaluate.floors import evaluate_floors
    from suture.evaluate.suites import gather
    from suture.tasks.suites import SUITE_TASKS

    (work,) = gather([SUITE_TASKS["meqsum"]], official).work
    evaluate_floors(work, [], tmp_path, further=plan_further())
    installed(monkeypatch, medcon=Overlap())
    place = evaluate_floors(work, [], tmp_path, further=plan_further())["copy"]
    rows = read_rows(place)
    assert {row.response for row in rows} == {""}
    for row, record in zip(rows, work.take(None), strict=True):
        expected = Overlap().scores([record.input.strip()], [record.target])
        assert row.scores["medcon"] == pytest.approx(expected[0])
        assert row.scores["medcon"] > 0
