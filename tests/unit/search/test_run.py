"""Whole searches on tiny random models: found, resumed, shared by two processes, refused, and counted in the log."""

from __future__ import annotations

import errno
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import yaml

from suture.audit import OPENED, AuditLog
from suture.data.records import Record, write_items
from suture.errors import (
    IncompatibleError,
    IntegrityError,
    NumericError,
    Problem,
    ResourceError,
    SutureError,
    UsageError,
)
from suture.recipe import load_recipe
from suture.search import probe, run, splits
from suture.search.run import search
from suture.search.space import Space, load_space
from suture.testing.tiny import tiny_model

pytest.importorskip("optuna")
SECRET = "xylophone"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("given")
    records = [
        Record(f"r{k}", "clinic", f"e{k}", "note", "", f"{SECRET} cough {k % 7} and fever {k}.", "test", "Apache-2.0")
        for k in range(60)
    ]
    write_items(folder / "items.jsonl", records)
    return {
        "items": folder / "items.jsonl",
        "general": tiny_model(folder / "general", seed=1),
        "clinical": tiny_model(folder / "clinical", seed=2),
    }


def space(given: dict[str, Path], folder: Path, **changes: Any) -> Space:
    path = folder / "space.yaml"
    basic = {
        "name": "tiny",
        "recipe": {"general": str(given["general"]), "clinical": str(given["clinical"]), "dtype": "float32"},
        "methods": ["linear"],
        "vary": {"coefficient": {"step": 0.25}},
        "objectives": [{"task": "clinic_likelihood", "items": str(given["items"])}],
        "candidates": 5,
        "looks": 3,
    }
    path.write_text(yaml.safe_dump(basic | changes))
    return load_space(path)


def events(out: Path) -> list[str]:
    return [entry.event for entry in AuditLog(out / "audit.jsonl").verify()]


def test_a_grid_is_raced_and_the_test_split_opened_once(given: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = search(space(given, tmp_path), out)
    states = [candidate["state"] for candidate in result["candidates"]]
    assert len(states) == 5
    assert states.count("left") >= 1
    best = max((c for c in result["candidates"] if c["state"] == "left"), key=lambda c: c["against_leader"])
    assert result["recommended"]["digest"] == best["digest"]
    assert result["test"]["opening"] == 1
    assert {row["parent"] for row in result["test"]["recommended_against_parents"]} == {"general", "clinical"}
    assert len(result["sensitivity"][0]["points"]) == 5
    recipe = load_recipe(out / "recommended.yaml")
    listed = [entry.parameters["weight"].written() for entry in recipe.models or ()]
    assert listed[1] == result["recommended"]["point"]["coefficient"]
    assert events(out) == ["search started", OPENED, "search finished"]
    assert search(space(given, tmp_path), out) == result
    assert events(out) == ["search started", OPENED, "search finished"]


def test_scores_are_those_of_the_written_merge(given: dict[str, Path], tmp_path: Path) -> None:
    from suture.evaluate.items import read_rows
    from suture.merge import execute
    from suture.plan import make_plan
    from suture.study.evaluation import evaluate_tasks

    out = tmp_path / "out"
    result = search(space(given, tmp_path), out, test=False)
    execute(make_plan(load_recipe(out / "recommended.yaml")), tmp_path / "model", sync=False)
    folder = evaluate_tasks(tmp_path / "model", [f"clinic_likelihood={given['items']}"], tmp_path / "results")
    written = {row.item_id: row.scores["log_likelihood"] for row in read_rows(folder / "clinic_likelihood")}
    kept = probe.Kept(out / "candidates").read(result["recommended"]["digest"], "clinic_likelihood")
    assert kept
    assert all(scores["log_likelihood"] == pytest.approx(written[item], abs=1e-5) for item, scores in kept.items())


def test_no_text_and_no_open_file(given: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    search(space(given, tmp_path), out)
    for path in [path for path in out.rglob("*") if path.is_file()]:
        assert path.stat().st_mode & 0o077 == 0, path
        assert SECRET.encode() not in path.read_bytes()


def test_a_stopped_search_reads_nothing_twice(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    read = probe.read_items

    def counted(engine: Any, one: Any, items: Any, digest: str, **more: Any) -> Any:
        if len(asked) > 40 and limited:
            raise KeyboardInterrupt
        asked.extend((digest, item.id) for item in items)
        return read(engine, one, items, digest, **more)

    monkeypatch.setattr(probe, "read_items", counted)
    limited = True
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        search(space(given, tmp_path), out)
    limited = False
    resumed = search(space(given, tmp_path), out)
    assert len(asked) == len(set(asked))
    whole = search(space(given, tmp_path), tmp_path / "whole")
    assert [c["digest"] for c in resumed["candidates"]] == [c["digest"] for c in whole["candidates"]]
    assert resumed["recommended"]["digest"] == whole["recommended"]["digest"]


def test_a_look_at_the_test_that_was_stopped_is_not_a_second_one(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    tiny = space(given, tmp_path)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "result_of", stop)
        with pytest.raises(KeyboardInterrupt):
            search(tiny, out)
    assert events(out).count(OPENED) == 1
    assert search(space(given, tmp_path), out)["test"]["opening"] == 1
    assert events(out).count(OPENED) == 1


def test_another_search_of_the_same_test_needs_a_reason(given: dict[str, Path], tmp_path: Path) -> None:
    log = tmp_path / "team.jsonl"
    search(space(given, tmp_path), tmp_path / "one", audit=log)
    other = space(given, tmp_path, vary={"coefficient": {"step": 0.5}}, candidates=3)
    with pytest.raises(UsageError, match="opening 2"):
        search(other, tmp_path / "two", audit=log)
    assert search(other, tmp_path / "two", audit=log, reason="a coarser grid")["test"]["opening"] == 2


def test_a_journal_of_another_space_is_refused_by_name(given: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    search(space(given, tmp_path), out, test=False)
    with pytest.raises(IncompatibleError, match="'tiny' with another space"):
        search(space(given, tmp_path, looks=2), out, test=False)
    with pytest.raises(IncompatibleError, match="the space 'tiny'"):
        search(space(given, tmp_path, name="other"), out, test=False)


def test_a_broken_log_stops_the_search(given: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    search(space(given, tmp_path), out)
    log = out / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"items":', b'"itemz":', 1))
    with pytest.raises(IntegrityError, match="line 2"):
        search(space(given, tmp_path), out)


def test_scores_that_are_not_whole_are_named(given: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    search(space(given, tmp_path), out, test=False)
    torn = next((out / "candidates").rglob("clinic_likelihood.*.json"))
    torn.write_bytes(torn.read_bytes()[:20])
    (out / "result.json").unlink()
    with pytest.raises(IntegrityError, match="are read again"):
        search(space(given, tmp_path), out, test=False)
    torn.unlink()
    assert search(space(given, tmp_path), out, test=False)["candidates"]


def test_a_filter_that_matches_nothing_is_named_before_anything_is_read(given: dict[str, Path], tmp_path: Path) -> None:
    vary = {"coefficient": {"filters": ["self_atn"]}}
    with pytest.raises(SutureError, match="self_atn"):
        search(space(given, tmp_path, vary=vary), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_sampler_proposes_in_batches(given: dict[str, Path], tmp_path: Path) -> None:
    vary = {"coefficient": {"anchors": 2, "filters": ["self_attn"]}}
    changes = {"methods": ["linear", "slerp"], "vary": vary, "candidates": 8, "batches": 2, "items": 0.6}
    result = search(space(given, tmp_path, **changes), tmp_path / "out", test=False)
    again = search(space(given, tmp_path, **changes), tmp_path / "again", test=False)
    assert [c["point"] for c in result["candidates"]] == [c["point"] for c in again["candidates"]]
    assert len(result["candidates"]) == 8
    assert result["share_of_items_read"] <= 0.6
    assert result["items_read_of_parents"] == 2 * result["objectives"][0]["dev_items"]
    assert {c["point"]["method"] for c in result["candidates"]} == {"linear", "slerp"}


def test_a_gaussian_process_proposes_again_what_it_proposed_and_learns(given: dict[str, Path], tmp_path: Path) -> None:
    changes: dict[str, Any] = {"vary": {"coefficient": {"anchors": 2}}, "candidates": 9, "items": 0.8}
    found = {
        name: search(space(given, tmp_path, **changes, **more), tmp_path / name, test=False)
        for name, more in (("gp", {}), ("again", {}), ("tpe", {"sampler": "tpe"}))
    }
    points = {name: [c["point"] for c in result["candidates"]] for name, result in found.items()}
    assert len(points["gp"]) == 9
    assert points["gp"] == points["again"]
    assert sum(point in points["tpe"] for point in points["gp"]) == 3  # the first batch, drawn at random


def test_a_candidate_that_is_not_a_number_leaves_and_the_others_go_on(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = space(given, tmp_path, objectives=[{"task": "clinic_likelihood", "items": str(given["items"]), "unit": 1.0}])
    whole = search(tiny, tmp_path / "whole", test=False)
    bad, read = whole["recommended"]["digest"], probe.read_items

    def broken(engine: Any, one: Any, items: Any, digest: str, **more: Any) -> Any:
        if digest == bad:
            raise NumericError(Problem("Every score must be finite.", "NaN"))
        return read(engine, one, items, digest, **more)

    monkeypatch.setattr(probe, "read_items", broken)
    out = tmp_path / "out"
    result = search(tiny, out, test=False)
    states = {candidate["digest"]: candidate["state"] for candidate in result["candidates"]}
    assert [digest for digest, state in states.items() if state == "failed"] == [bad]
    assert "not numbers" in result["recommended"]["reason"]
    monkeypatch.undo()
    assert search(tiny, out, test=False) == result


def test_a_candidate_that_fails_in_a_later_batch_is_no_finalist(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goals = [{"task": "clinic_likelihood", "items": str(given["items"]), "unit": 1.0}]
    tiny = space(given, tmp_path, objectives=goals, vary={"coefficient": {}}, candidates=6, batches=3, items=0.5)
    raced, leaders = run._Search._race, list[str]()

    def then_failed(self: Any, number: int, *rest: Any) -> Any:
        outcome = raced(self, number, *rest)
        if number == 0:
            leaders.append(outcome.leader)
            self.kept.fail(outcome.leader)
        return outcome

    monkeypatch.setattr(run._Search, "_race", then_failed)
    result = search(tiny, tmp_path / "out", test=False)
    states = {candidate["digest"]: candidate["state"] for candidate in result["candidates"]}
    assert [digest for digest, state in states.items() if state == "failed"] == leaders
    assert states[result["recommended"]["digest"]] == "left"
    assert result["share_of_items_read"] <= 0.5


def test_two_objectives_make_a_front(given: dict[str, Path], tmp_path: Path) -> None:
    objectives = [
        {"task": "clinic_likelihood", "items": str(given["items"]), "unit": 1.0},
        {"task": "clinic_likelihood", "items": str(given["items"]), "direction": "less", "unit": 1.0},
    ]
    with pytest.raises(UsageError, match="named once"):
        space(given, tmp_path, objectives=objectives)
    objectives[1] = {"task": "mts_likelihood", "items": str(given["items"]), "direction": "less", "unit": 1.0}
    found = search(space(given, tmp_path, objectives=objectives, goal="front"), tmp_path / "out", test=False)
    assert {candidate["state"] for candidate in found["candidates"]} == {"left"}
    assert len(found["front"]) == 5


SENTENCE = f"The {SECRET} was seen twice by the doctor on call last night"


def records(path: Path, name: str, repeated: int, count: int = 12) -> str:
    """Write records, `repeated` of which share more than eight words with all others that do."""
    texts = [f"{SENTENCE}, {k}." if k < repeated else f"{name} {k}." for k in range(count)]
    found = [Record(f"{name}{k}", name, f"{name}{k}", "note", "", t, "test", "Apache-2.0") for k, t in enumerate(texts)]
    write_items(path, found)
    return str(path)


def test_words_that_two_files_share_are_refused_or_left_out(given: dict[str, Path], tmp_path: Path) -> None:
    dev, test = records(tmp_path / "dev.jsonl", "dev", 2), records(tmp_path / "test.jsonl", "test", 3)
    goal = [{"task": "clinic_likelihood", "items": dev, "test_items": test}]
    with pytest.raises(UsageError, match="3 of 12 that do: test0, test1, test2") as refused:
        splits.measured(space(given, tmp_path, objectives=goal))
    assert SECRET not in str(refused.value)
    for leakage, left_out in (("leave-out", 3), ("allow", 0)):
        (found,) = splits.measured(space(given, tmp_path, objectives=goal, leakage=leakage))
        assert (len(found.test), found.left_out) == (12 - left_out, left_out)


def test_words_that_a_divided_set_shares_leave_the_test(given: dict[str, Path], tmp_path: Path) -> None:
    goal = [{"task": "clinic_likelihood", "items": records(tmp_path / "all.jsonl", "all", 8, 40)}]
    (whole,) = splits.measured(space(given, tmp_path, objectives=goal, leakage="allow"))
    (found,) = splits.measured(space(given, tmp_path, objectives=goal))
    learnt = any(SENTENCE in item.target for item in found.dev)
    asked = [item for item in whole.test if SENTENCE in item.target]
    assert learnt
    assert asked
    assert found.left_out == len(asked)
    assert not [item for item in found.test if SENTENCE in item.target]


def test_a_full_disk_is_named_and_what_was_read_is_kept(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, write = [], probe.write_private

    def full(path: Path, text: str) -> None:
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(path, text)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(probe, "write_private", full)
        with pytest.raises(ResourceError, match="run it again"):
            search(space(given, tmp_path), out)
    assert all(path.exists() for path in written)
    resumed, whole = search(space(given, tmp_path), out), search(space(given, tmp_path), tmp_path / "whole")
    assert resumed["recommended"] == whole["recommended"]
    assert resumed["items_read"] == whole["items_read"]


def _worker(path: str, out: str) -> None:
    search(load_space(Path(path)), Path(out))


def test_two_processes_share_one_search(given: dict[str, Path], tmp_path: Path) -> None:
    space(given, tmp_path)
    out = tmp_path / "out"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_worker, args=(str(tmp_path / "space.yaml"), str(out))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert events(out).count(OPENED) == 1
    alone = search(space(given, tmp_path), tmp_path / "alone")
    both = json.loads((out / "result.json").read_text())
    assert both["recommended"] == alone["recommended"]
    assert both["items_read"] == alone["items_read"]


def test_candidates_are_judged_by_what_they_write(given: dict[str, Path], tmp_path: Path) -> None:
    prompts = [
        {"key": k, "prompt": f"{SECRET} {k}", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
        for k in range(40)
    ]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
    summaries = [
        Record(f"s{k}", "clinic", f"e{k}", "note", f"{SECRET} {k}", f"Cough {k}.", "test", "Apache-2.0")
        for k in range(40)
    ]
    write_items(tmp_path / "summaries.jsonl", summaries)
    objectives = [
        {"task": "ifeval", "metric": "inst_level_loose", "items": str(tmp_path / "prompts.jsonl"), "new_tokens": 2},
        {"task": "clinic_summary", "metric": "rougeL", "items": str(tmp_path / "summaries.jsonl"), "new_tokens": 2},
    ]
    asked = space(given, tmp_path, objectives=[goal | {"unit": 1.0} for goal in objectives], candidates=2,
                  vary={"coefficient": {"choices": [0.0, 1.0]}}, leakage="allow")  # fmt: skip
    search(asked, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert {goal["name"] for goal in found["objectives"]} == {"ifeval.inst_level_loose", "clinic_summary.rougeL"}
    kept = sorted((tmp_path / "out" / "candidates").glob("*/ifeval.*.json"))
    scores = [value for path in kept for value in json.loads(path.read_text()).values()]
    assert scores
    assert {row["inst_level_loose"] for row in scores} <= {0.0, 1.0}
    assert SECRET not in "".join(path.read_text() for path in (tmp_path / "out").rglob("*.json"))
