import os
from pathlib import Path

import pytest

from suture.data.mts_dialog import FILES, read_mts_dialog
from suture.errors import BadInputError, UsageError

HEADER = "ID,section_header,section_text,dialogue\n"
SECRET = "Zebrafish rash"


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / FILES["validation"]).write_bytes(text.encode(encoding))
    return folder


def fault(folder: Path) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        read_mts_dialog(folder, "validation")
    assert SECRET not in str(caught.value)
    return caught.value


def test_rows_become_records(tmp_path: Path):
    text = HEADER + '0,GENHX,"A rash, since May.","Doctor: Hi.\r\nPatient: A rash. "\n4,ROS,None.,Doctor: Pain?\n'
    first, second = read_mts_dialog(write(tmp_path, text, "utf-8-sig"), "validation")
    assert (first.id, first.encounter) == ("mts_dialog-validation-0", "mts_dialog-validation-0")
    assert (first.section, first.input, first.target) == (
        "GENHX",
        "Doctor: Hi.\nPatient: A rash.",
        "A rash, since May.",
    )
    assert (first.source, first.licence, first.split, first.credential) == ("mts_dialog", "CC BY 4.0", "validation", "")
    assert (second.id, second.target) == ("mts_dialog-validation-4", "None.")


def test_a_missing_file_names_the_path_and_the_remedy(tmp_path: Path):
    error = fault(tmp_path)
    assert str(tmp_path) in str(error)
    assert "Clone" in error.problems[0].do


def test_missing_columns_are_named(tmp_path: Path):
    error = fault(write(tmp_path, f"ID,section_text\n0,{SECRET}\n"))
    assert "section_header, dialogue" in error.problems[0].got


def test_every_fault_of_the_rows_is_told_at_once(tmp_path: Path):
    rows = f"0,CC,{SECRET},Doctor: Hi.\n0,CC,,Doctor: Hi.\n2,CC,{SECRET}\n3,CC,{SECRET},Hi,{SECRET}\n"
    messages = [str(problem) for problem in fault(write(tmp_path, HEADER + rows)).problems]
    assert len(messages) == 5
    assert "row 2" in messages[0]
    assert "empty section_text" in messages[0]
    assert "fewer cells" in messages[1]
    assert "empty dialogue" in messages[2]
    assert "more cells" in messages[3]
    assert "1 repeated" in messages[4]


def test_another_encoding_is_refused(tmp_path: Path):
    error = fault(write(tmp_path, f"{HEADER}0,CC,{SECRET} café,Hi\n", "latin-1"))
    offset = len(f"{HEADER}0,CC,{SECRET} caf")
    assert f"offset {offset}" in error.problems[0].got


def test_broken_quoting_is_refused(tmp_path: Path):
    assert "valid CSV" in str(fault(write(tmp_path, f'{HEADER}0,CC,"{SECRET},Hi\n')))


def test_an_unknown_split_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match="train, validation, test1, test2"):
        read_mts_dialog(tmp_path, "dev")


def test_the_official_files_read_whole():
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("SUTURE_DATA", default)) / "mts_dialog" / "Main-Dataset"
    if not folder.is_dir():
        pytest.skip("MTS-Dialog is not there: set SUTURE_DATA to the folder that holds mts_dialog")
    counts = {split: len(read_mts_dialog(folder, split)) for split in FILES}
    assert counts == {"train": 1201, "validation": 100, "test1": 200, "test2": 200}
