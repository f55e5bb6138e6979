"""A whole evaluation of tiny models: rows, privacy, progress, and results that are never another model's."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from suture.checkpoint.digest import weights_digest
from suture.data.records import Choice, ContrastPair, Record
from suture.evaluate import run
from suture.evaluate.drift import keep_answers
from suture.evaluate.items import read_meta, read_rows
from suture.evaluate.run import Workload, evaluate_model
from suture.events import Advanced, Event, Started, listening
from suture.tasks.registry import get_task
from suture.testing.tiny import tiny_model

SECRET = "xylophone"
FACTS = {"drugs": [{"drug": "amoxicillin", "dose": "500", "unit": "mg", "frequency": "daily"}], "negated": ["fever"]}
RECORDS = [
    Record(f"r{k}", "clinic", f"e{k}", "note", f"{SECRET} cough {k}.", "No fever.", "test", "Apache-2.0", facts=FACTS)
    for k in range(3)
]
PAIRS = [ContrastPair("p", "topic", "a", "b", "Say it in capitals.", "Say it softly.", "COUGH", "cough")]
QUESTIONS = [Choice("q", "e0", "Which drug?", ("amoxicillin", "none", "a", "b"), 0)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_model(folder / "one", seed=1), tiny_model(folder / "two", seed=2)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every model folder that is loaded."""
    seen: list[Path] = []
    load = run.load_model
    monkeypatch.setattr(run, "load_model", lambda path, **settings: (seen.append(path), load(path, **settings))[1])
    return seen


def work(tmp_path: Path, parent: Path) -> list[Workload]:
    drift = replace(get_task("drift"), max_new_tokens=4)
    kept = keep_answers(parent, drift, RECORDS, tmp_path / "kept", digest=weights_digest(parent))
    return [
        Workload(get_task("contrast"), PAIRS),
        Workload(get_task("clinic_mcq"), QUESTIONS),
        Workload(replace(get_task("clinic_summary"), max_new_tokens=6), RECORDS),
        Workload(get_task("clinic_likelihood"), RECORDS),
        Workload(get_task("mts_likelihood"), RECORDS),
        Workload(drift, RECORDS, {"general": kept}),
    ]


def test_every_task_leaves_rows_with_its_metrics(
    models: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    loads = work(tmp_path, models[0])
    events: list[Event] = []
    with listening(events.append):
        folders = evaluate_model(models[0], loads, tmp_path / "results", digest=weights_digest(models[0]))
    assert list(folders) == [load.task.name for load in loads]
    for load in loads:
        folder = folders[load.task.name]
        rows = read_rows(folder)
        assert {row.item_id for row in rows} == {item.id for item in load.take(None)}
        assert {row.model_digest for row in rows} == {weights_digest(models[0])}
        expected = {"kl_to_general"} if load.task.kind == "drift" else set(load.task.metrics)
        assert set(rows[0].scores) == expected
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert read_meta(folder)["key"]["task"]["protocol"] == load.task.protocol
        assert SECRET not in (folder / "meta.json").read_text()
    totals = {event.name: event.total for event in events if isinstance(event, Started)}
    done = {name: sum(e.amount for e in events if isinstance(e, Advanced) and e.name == name) for name in totals}
    assert totals == done
    assert set(totals) == set(folders)
    assert SECRET not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_the_same_weights_are_not_run_twice(models: tuple[Path, Path], tmp_path: Path, loads: list[Path]) -> None:
    task = [Workload(get_task("contrast"), PAIRS)]
    first = evaluate_model(models[0], task, tmp_path, digest="a" * 64)
    assert evaluate_model(models[0], task, tmp_path, digest="a" * 64) == first
    assert loads == [models[0]]


def test_other_weights_never_meet_kept_results(models: tuple[Path, Path], tmp_path: Path, loads: list[Path]) -> None:
    task = [Workload(get_task("clinic_likelihood"), RECORDS)]
    digests = ("a" * 64, "a" * 12 + "b" * 52)  # one folder, by an unlucky start of the digest
    scores = []
    for model, digest in zip(models, digests, strict=True):
        folder = evaluate_model(model, task, tmp_path, digest=digest)["clinic_likelihood"]
        scores.append([row.scores["log_likelihood"] for row in read_rows(folder)])
        assert {row.model_digest for row in read_rows(folder)} == {digest}
    assert loads == list(models)
    assert scores[0] != scores[1]


def test_whatever_moves_a_score_is_in_the_key(models: tuple[Path, Path], tmp_path: Path, loads: list[Path]) -> None:
    task = get_task("clinic_likelihood")
    changed = replace(RECORDS[0], target="No cough.")

    def evaluate(load: Workload, **settings: int) -> None:
        evaluate_model(models[0], [load], tmp_path, digest="a" * 64, **settings)

    evaluate(Workload(task, RECORDS))
    evaluate(Workload(task, [changed, *RECORDS[1:]]))
    evaluate(Workload(replace(task, instruction="Read: {input}"), RECORDS))
    evaluate(Workload(task, RECORDS), limit=2)
    evaluate(Workload(task, RECORDS), batch_size=2)
    assert len(loads) == 5


def test_a_narrow_dtype_says_how_answers_are_written(models: tuple[Path, Path], tmp_path: Path) -> None:
    keys = []
    work = [Workload(get_task("contrast"), PAIRS)]
    for dtype in ("float32", "bfloat16"):
        folders = evaluate_model(models[0], work, tmp_path / dtype, digest="a" * 64, dtype=dtype)
        keys.append(read_meta(folders["contrast"])["key"]["engine"])
    assert "answers" not in keys[0]
    assert keys[1]["answers"] == "unpadded"


def test_the_tokenizers_template_is_in_the_key(tmp_path: Path, loads: list[Path]) -> None:
    model = tiny_model(tmp_path / "model")
    task = [Workload(get_task("contrast"), PAIRS)]
    evaluate_model(model, task, tmp_path / "results", digest="a" * 64)
    template = model / "chat_template.jinja"
    template.write_text(template.read_text() + "{# another #}")
    evaluate_model(model, task, tmp_path / "results", digest="a" * 64)
    assert len(loads) == 2


def test_the_limit_takes_the_first_items(models: tuple[Path, Path], tmp_path: Path) -> None:
    task = [Workload(get_task("clinic_likelihood"), RECORDS)]
    folder = evaluate_model(models[0], task, tmp_path, digest="a" * 64, limit=2)["clinic_likelihood"]
    assert [row.item_id for row in read_rows(folder)] == ["r0", "r1"]


def test_answers_do_not_depend_on_the_batch(models: tuple[Path, Path], tmp_path: Path) -> None:
    task = [Workload(replace(get_task("clinic_summary"), max_new_tokens=6), RECORDS)]
    folders = [
        evaluate_model(models[0], task, tmp_path / str(size), digest="a" * 64, batch_size=size)["clinic_summary"]
        for size in (1, 4)
    ]
    one, four = ([row.response for row in read_rows(folder)] for folder in folders)
    assert one == four
