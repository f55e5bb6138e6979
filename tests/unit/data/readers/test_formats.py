"""Each official format, a few rows of it written by hand, becomes the items that its authors mean."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from suture.data.readers import dialogue, general, medical, mtsamples, reports
from suture.errors import BadInputError

SECRET = "Zebrafish rash"


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def mcq(cop: int, **more: Any) -> dict[str, Any]:
    return {"question": SECRET, "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": cop, **more}


@pytest.mark.parametrize(("cops", "answers"), [((1, 4), [0, 3]), ((0, 3), [0, 3])])
def test_medmcqa_counts_from_one_or_from_zero(tmp_path: Path, cops: tuple[int, int], answers: list[int]) -> None:
    path = lines(tmp_path / "dev.json", *(mcq(cop, id=f"q{cop}") for cop in cops))
    assert [item.answer for item in medical.medmcqa({"validation": path}, "validation")] == answers


@pytest.mark.parametrize(
    ("cops", "words"),
    [((1, 2, 3), "which fits both"), ((0, 4), "from 0 to 4"), ((-1, -1), "file without answers"), ((1, 7), "7")],
)
def test_medmcqa_refuses_what_it_cannot_tell(tmp_path: Path, cops: tuple[int, ...], words: str) -> None:
    path = lines(tmp_path / "dev.json", *map(mcq, cops))
    with pytest.raises(BadInputError, match=words) as caught:
        medical.medmcqa({"validation": path}, "validation")
    assert SECRET not in str(caught.value)


def test_medqa_takes_letters(tmp_path: Path) -> None:
    row = {"question": "Q", "options": {"B": "two", "A": "one", "C": "three", "D": "four"}, "answer_idx": "B"}
    (item,) = medical.medqa({"test": lines(tmp_path / "t.jsonl", row)}, "test")
    assert (item.options, item.answer) == (("one", "two", "three", "four"), 1)
    with pytest.raises(BadInputError, match="one of its options"):
        medical.medqa({"test": lines(tmp_path / "t.jsonl", row | {"answer_idx": "E"})}, "test")


def test_pubmedqa_keeps_test_and_train_apart(tmp_path: Path) -> None:
    entry = {"QUESTION": "Q?", "CONTEXTS": ["one", "two"], "final_decision": "maybe"}
    (tmp_path / "l.json").write_text(json.dumps({"1": entry, "2": entry}))
    (tmp_path / "t.json").write_text(json.dumps({"2": "maybe"}))
    files = {"labelled": tmp_path / "l.json", "truth": tmp_path / "t.json"}
    (test,), (train,) = (medical.pubmedqa(files, split) for split in ("test", "train"))
    assert (test.id, train.id) == ("pubmedqa-2", "pubmedqa-1")
    assert (test.context, test.options[test.answer]) == ("one\ntwo", "maybe")
    (tmp_path / "t.json").write_text(json.dumps({"2": "yes", "3": "no"}))
    with pytest.raises(BadInputError) as caught:
        medical.pubmedqa(files, "test")
    assert len(caught.value.problems) == 2


def test_mmlu_in_both_layouts(tmp_path: Path) -> None:
    hub = {"subject": "anatomy", "question": "Q", "choices": ["a", "b", "c", "d"], "answer": 2}
    mirage = {"subject": "anatomy", "question": "Q", "options": dict(zip("ABCD", "abcd", strict=True)), "answer": "C"}
    path = lines(tmp_path / "m.jsonl", hub, mirage, hub | {"subject": "astronomy"})
    items = medical.mmlu({"table": path}, "test")
    assert [(item.section, item.options, item.answer) for item in items] == [("anatomy", tuple("abcd"), 2)] * 2
    assert len({item.id for item in items}) == 2


def test_arc_in_all_three_layouts(tmp_path: Path) -> None:
    choices = [{"text": "x", "label": "1"}, {"text": "y", "label": "2"}]
    rows = (
        {"id": "a", "question": {"stem": "Q", "choices": choices}, "answerKey": "2"},
        {"id": "b", "question": "Q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},
        {"id": "c", "question": "Q", "choices": ["x", "y"], "gold": 1},
    )
    items = general.arc_challenge({"test": lines(tmp_path / "a.jsonl", *rows)}, "test")
    assert [(item.question, item.options, item.answer) for item in items] == [("Q", ("x", "y"), 1)] * 3


def test_hellaswag_loses_its_brackets(tmp_path: Path) -> None:
    row = {"ind": 1, "activity_label": "Cook", "ctx_a": "[header] Fry [title] it", "ctx_b": "she", "label": "0"}
    path = lines(tmp_path / "h.jsonl", row | {"endings": ["[step] stirs", "runs"]})
    (item,) = general.hellaswag({"table": path}, "validation")
    assert (item.question, item.options, item.answer) == ("Cook: Fry. it She", (" stirs", "runs"), 0)


def test_truthfulqa_in_both_layouts(tmp_path: Path) -> None:
    authors = {"question": "Q", "mc1_targets": {"right": 1, "wrong": 0}}
    hub = {"question": "Q", "mc1_targets": {"choices": ["wrong", "right"], "labels": [0, 1]}}
    items = general.truthfulqa({"table": lines(tmp_path / "t.jsonl", authors, hub)}, "test")
    assert [item.options[item.answer] for item in items] == ["right", "right"]
    with pytest.raises(BadInputError, match="one right answer"):
        general.truthfulqa({"table": lines(tmp_path / "t.jsonl", {"question": "Q", "mc1_targets": {"a": 0}})}, "test")


def test_gsm8k_answers_end_in_a_number(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="end in ####"):
        general.gsm8k({"test": lines(tmp_path / "g.jsonl", {"question": "Q", "answer": "7"})}, "test")


def test_open_i_needs_both_texts_and_splits_by_report(tmp_path: Path) -> None:
    rows = "".join(f"{n},normal,clear {n},nothing {n}\n" for n in range(200)) + "900,Opacity,,x\n901,Opacity,x,\n"
    (tmp_path / "i.csv").write_text("uid,Problems,findings,impression\n" + rows)
    parts = {s: reports.open_i({"table": tmp_path / "i.csv"}, s) for s in ("test", "validation", "train")}
    ids = [record.id for part in parts.values() for record in part]
    assert len(ids) == len(set(ids)) == 200
    assert 25 < len(parts["test"]) < 55
    assert {record.section for record in parts["test"]} == {"normal"}


def test_mimic_cxr_keeps_the_official_split_and_the_subject(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(f"study,findings,impression\ns1,{SECRET},none\ns2,a,b\ns3,,b\n")
    split = "dicom_id,study_id,subject_id,split\nd,1,10,test\ne,1,10,test\nf,2,11,train\ng,3,10,test\n"
    (tmp_path / "split.csv.gz").write_bytes(gzip.compress(split.encode()))
    files = {"table": tmp_path / "s.csv", "split": tmp_path / "split.csv.gz"}
    (record,) = reports.mimic_cxr(files, "test")
    assert (record.id, record.encounter, record.input) == ("mimic_cxr-s1", "mimic_cxr-p10", SECRET)
    assert "PhysioNet" in record.credential
    (tmp_path / "s.csv").write_text("study,findings,impression\ns9,a,b\n")
    with pytest.raises(BadInputError, match="1 that do not"):
        reports.mimic_cxr(files, "test")


def test_mimic_bhc_never_divides_a_subject(tmp_path: Path) -> None:
    rows = "".join(f"{n % 30}-DS-{n},note {n},course {n}\n" for n in range(90))
    (tmp_path / "b.csv").write_text("note_id,input,target\n" + rows)
    parts = {s: reports.mimic_bhc({"table": tmp_path / "b.csv"}, s) for s in ("test", "validation", "train")}
    groups = [{record.encounter for record in part} for part in parts.values()]
    assert sum(map(len, parts.values())) == 90
    assert sum(map(len, groups)) == len(set().union(*groups)) == 30


def test_primock57_from_its_authors_folders(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "transcripts").mkdir()
    (tmp_path / "notes" / "d1.json").write_text(json.dumps({"note": "3/7 cough"}))
    grid = '    xmin = {} \n            xmax = {} \n            text = "{}" \n'
    for who, spoken in {"doctor": [(0, 1, "Hello? <UNSURE>Hi</UNSURE>")], "patient": [(1, 2, 'A ""cough""')]}.items():
        text = "".join(grid.format(*entry) for entry in spoken)
        (tmp_path / "transcripts" / f"d1_{who}.TextGrid").write_text(text)
    files = {"notes": tmp_path / "notes", "transcripts": tmp_path / "transcripts"}
    (record,) = dialogue.primock57(files, "test")
    assert record.input == 'Doctor: Hello? Hi\nPatient: A "cough"'
    assert record.target == "3/7 cough"


def test_mtsamples_uses_a_note_once_and_takes_the_section_out(tmp_path: Path) -> None:
    words = " ".join(["word"] * 45)
    note = f"ADMISSION,HISTORY:, {words}.,HOSPITAL COURSE: , Well. {words}.,2. {words}.,PLAN:, Home."
    report = f"EXAM: , CT.,FINDINGS:, {words}.,IMPRESSION: ,1. Clear.,2. Well."
    (tmp_path / "m.csv").write_text(
        "note_id,transcription\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate((note, note, report)))
    )
    files = {"table": tmp_path / "m.csv"}
    (course,), (said,) = mtsamples.hospital_course(files, "test"), mtsamples.impression(files, "test")
    assert course.input == f"ADMISSION\nHISTORY: {words}.\nPLAN: Home."
    assert course.target == f"Well. {words}.\n2. {words}."
    assert (said.input, said.target) == (f"{words}.", "1. Clear.\n2. Well.")
    assert said.id == "mtsamples_impression-2"


def test_prompts_have_unique_keys_and_whole_arguments(tmp_path: Path) -> None:
    row = {"key": 1, "prompt": SECRET, "instruction_id_list": ["a"], "kwargs": [{}]}
    path = lines(tmp_path / "p.jsonl", row, row | {"kwargs": []})
    with pytest.raises(BadInputError) as caught:
        general.prompts({"prompts": path}, "test")
    assert len(caught.value.problems) == 2
    assert SECRET not in str(caught.value)
