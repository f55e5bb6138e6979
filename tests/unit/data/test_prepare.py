"""Official files -> canonical form and back: digests, what is missing, what was changed, all real data sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.data.catalog import SOURCES, get_source
from suture.data.prepare import is_prepared, load, prepare, problems_of, survey
from suture.data.records import Choice, Record
from suture.errors import BadInputError, IntegrityError, UsageError

SECRET = "Zebrafish rash"
QUESTION = {"question": SECRET, "options": dict(zip("ABCD", "wxyz", strict=True)), "answer_idx": "D"}


@pytest.fixture
def official(tmp_path: Path) -> Path:
    folder = tmp_path / "official" / "medqa"
    folder.mkdir(parents=True)
    (folder / "medqa_us_4options_test.jsonl").write_text(json.dumps(QUESTION) + "\n")
    return folder.parent


def test_what_is_prepared_is_what_was_read(official: Path, tmp_path: Path) -> None:
    entry = prepare(["medqa"], official, tmp_path / "out")["medqa"]
    whole, again = load("medqa", official), load("medqa", tmp_path / "out")
    assert is_prepared(tmp_path / "out")
    assert whole.items == again.items
    assert whole.digest == again.digest == entry["splits"]["test"]["digest"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o600}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert SECRET not in (tmp_path / "out" / "datasets.json").read_text()


def test_a_changed_file_is_named(official: Path, tmp_path: Path) -> None:
    prepare(["medqa"], official, tmp_path / "out")
    path = tmp_path / "out" / "medqa.test.jsonl"
    path.write_text(path.read_text().replace('"answer":3', '"answer":0'))
    with pytest.raises(IntegrityError) as caught:
        load("medqa", tmp_path / "out")
    assert SECRET not in str(caught.value)


def test_preparing_another_set_keeps_the_first(official: Path, tmp_path: Path) -> None:
    (official / "gsm8k").mkdir()
    (official / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": "Q", "answer": "#### 1"}) + "\n")
    prepare(["medqa"], official, tmp_path / "out")
    prepare(["gsm8k"], official, tmp_path / "out")
    assert len(load("medqa", tmp_path / "out").items) == len(load("gsm8k", tmp_path / "out").items) == 1


def test_what_is_missing_says_where_it_is_and_what_it_needs(official: Path) -> None:
    (problem,) = problems_of("mimic_bhc", official)
    assert "mimic-iv-bhc.csv" in problem.got
    assert "physionet.org" in problem.do
    assert "data use agreement" in problem.do
    assert problems_of("medqa", official) == []
    assert len(problems_of("medqa", None)) == 1


def test_every_problem_of_every_set_is_told_at_once(official: Path, tmp_path: Path) -> None:
    (official / "medqa" / "medqa_us_4options_test.jsonl").write_bytes(b'{"question": "caf\xe9"}\n')
    with pytest.raises(BadInputError) as caught:
        prepare(["medqa", "gsm8k"], official, tmp_path / "out")
    assert len(caught.value.problems) == 2
    assert "UTF-8" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_empty_references_and_repeated_ids_are_named_without_their_text(tmp_path: Path) -> None:
    rows = f"0,a,{SECRET},\n0,a,{SECRET},note\n"
    (tmp_path / "clinicalnlp_taskB_test1.csv").write_text("encounter_id,dataset,dialogue,note\n" + rows)
    with pytest.raises(BadInputError) as caught:
        load("aci_bench", tmp_path)
    text = str(caught.value)
    assert "No reference may be empty" in text
    assert "Ids must be unique" in text
    assert SECRET not in text


def test_unknown_names_meet_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean medqa"):
        get_source("med_qa")


def test_all_real_data_reads(shared_data: Path) -> None:
    found = survey(shared_data)
    counts = {
        name: len(load(name, shared_data).items) for name in SOURCES if SOURCES[name].test in found[name].splits()
    }
    assert (
        counts
        | {
            "ifeval": 541,
            "medqa": 1273,
            "medmcqa": 4183,
            "pubmedqa": 500,
            "mmlu": 1089,
            "mts_dialog": 200,
            "meqsum": 1000,
            "primock57": 57,
            "gsm8k": 1319,
            "arc_challenge": 1172,
            "hellaswag": 1000,
        }
        == counts
    )
    assert 60 <= counts["mtsamples_course"] <= 200
    assert 100 <= counts["mtsamples_impression"] <= 200
    notes = load("aci_bench", shared_data).items
    assert sum(isinstance(item, Record) and item.section == "full" for item in notes) == 40
    subjects = {item.section for item in load("mmlu", shared_data).items if isinstance(item, Choice)}
    assert len(subjects) == 6
