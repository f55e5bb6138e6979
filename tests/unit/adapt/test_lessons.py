import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from suture.adapt.lessons import Lesson, draw, held_out, leaking, lesson_of, notes_of, without_leaks
from suture.data.records import Record
from suture.errors import BadInputError, UsageError

LONG = "the patient was seen for a cough that began nine days ago"
DATA = Path(os.environ.get("SUTURE_DATA", "absent"))


def record(name: str, text: str = "", source: str = "made", encounter: str = "") -> Record:
    return Record(name, source, encounter or name, "s", text or f"text of {name}", "Noted.", "train", "none")


def test_what_repeats_the_test_is_found_by_encounter_and_by_eight_words() -> None:
    learnt = [record("a"), record("b", LONG.upper()), record("c", encounter="e9"), record("d", encounter="e8")]
    test = [record("t", f"well, {LONG}!", source="other"), record("u", encounter="e9")]
    assert leaking(learnt, test) == {"b": "8 words in a row", "c": "encounter"}


def test_a_draw_from_a_leaking_lesson_is_refused_with_counts_and_no_text() -> None:
    lesson = Lesson([record("a"), record("b", LONG)], "{input}", [record("t", LONG, source="other")])
    with pytest.raises(BadInputError) as caught:
        draw(lesson, 1, 0)
    assert "1 of 2" in str(caught.value)
    assert "cough" not in str(caught.value)
    assert draw(lesson, 2, 0, allow_leakage=True)[1] == 1
    clean, left = without_leaks(lesson)
    assert ([r.id for r in clean.records], left) == (["a"], 1)


def test_more_shots_than_records_are_refused_with_their_number() -> None:
    with pytest.raises(UsageError, match=r"\[1, 2\]"):
        draw(Lesson([record("a"), record("b")], "{input}", []), 3, 0)


def test_development_records_are_held_out_by_encounter() -> None:
    records = [record("a", encounter="1"), record("b", encounter="2"), record("c", encounter="1")]
    learnt, watched = held_out(records, 0.5)
    assert ([r.id for r in learnt], [r.id for r in watched]) == (["a", "c"], ["b"])
    assert held_out(records, 0.0) == (records, [])
    with pytest.raises(UsageError, match="leave some"):
        held_out(records[:1], 0.5)


def test_the_clinic_has_a_lesson_that_does_not_repeat_its_test() -> None:
    lesson = lesson_of("clinic_summary", None)
    assert len(lesson.records) == 240
    assert not {r.encounter for r in lesson.records} & {r.encounter for r in lesson.test}
    assert "{input}" in lesson.instruction


def test_a_task_that_does_not_write_has_no_lesson() -> None:
    with pytest.raises(UsageError, match="clinic_summary"):
        lesson_of("contrast", None)


def _own(folder: Path, prompt: str = "Write.\\n\\n{{input}}", split: str = "split: test") -> Path:
    rows = [
        {"note": f"note {n}", "letter": "Dear all.", "split": "test" if n < 2 else "train", "stay": str(n)}
        for n in range(6)
    ]
    (folder / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "letter.yaml"
    path.write_text(
        f'name: letter\ndata: letters.jsonl\ninput: note\ntarget: letter\nprompt: "{prompt}"\n{split}\n'
        "encounter: stay\nmetrics: [rougeL]\n"
    )
    return path


def test_a_task_file_is_learnt_from_its_other_split(tmp_path: Path) -> None:
    lesson = lesson_of(str(_own(tmp_path)), None)
    assert lesson.instruction == "Write.\n\n{input}"
    assert [r.input for r in lesson.records] == ["note 2", "note 3", "note 4", "note 5"]
    assert [r.input for r in lesson.test] == ["note 0", "note 1"]
    assert leaking(lesson.records, lesson.test) == {}


def test_a_task_file_that_cannot_be_learnt_from_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another split"):
        lesson_of(str(_own(tmp_path, split="max_new_tokens: 9")), None)
    with pytest.raises(UsageError, match="alone"):
        lesson_of(str(_own(tmp_path, prompt="{{id}} {{input}}")), None)


def test_raw_notes_come_from_a_folder_or_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n")
    (tmp_path / "b.txt").write_text("Two.\n")
    assert notes_of(tmp_path) == ["One.", "Two."]
    table = tmp_path / "notes.jsonl"
    table.write_text('{"text": "Three."}\n{"text": ""}\n')
    assert notes_of(table) == ["Three."]
    table.write_text('{"body": "Three."}\n')
    with pytest.raises(BadInputError, match="one of the fields"):
        notes_of(table)


@pytest.mark.skipif(not DATA.is_dir(), reason="SUTURE_DATA does not name the folder of the open data sets")
def test_mtsamples_repeat_mts_dialog() -> None:
    from suture.data.mts_dialog import read_mts_dialog
    from suture.data.tables import read_rows

    rows = read_rows(DATA / "mtsamples" / "mtsamples.csv")
    samples = [replace(record(f"m{n}", row["transcription"] or "none"), target="") for n, row in enumerate(rows)]
    dialog = read_mts_dialog(DATA / "mts_dialog" / "Main-Dataset", "validation")
    assert len(leaking(samples, dialog)) > 50
