"""A task of one's own in eight lines: what becomes of it, and every way in which file or data may be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.data.records import Choice, Record
from suture.errors import BadInputError, SutureError, UsageError
from suture.evaluate.harness import ask
from suture.evaluate.items import read_rows
from suture.evaluate.run import Workload, evaluate_model
from suture.evaluate.suites import own_task
from suture.tasks.own import OwnTask
from suture.testing.tiny import tiny_model

SECRET = "Zebrafish rash"
EIGHT = """name: letter
data: letters.jsonl
input: note
target: letter
prompt: "Write the letter.\\n\\n{{input}}"
split: test
encounter: stay
metrics: [rougeL, fact_omission, fact_fabrication]
"""
ROWS = [
    {"note": f"{SECRET} {k}, no fever.", "letter": f"Rash {k}.", "split": "test", "stay": f"s{k // 2}"}
    for k in range(4)
]


def write(folder: Path, text: str = EIGHT, rows: list[dict[str, Any]] | None = None) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in (ROWS if rows is None else rows))
    (folder / "letters.jsonl").write_text(lines, encoding="utf-8")
    (folder / "letter.yaml").write_text(text, encoding="utf-8")
    return folder / "letter.yaml"


def fault(path: Path) -> SutureError:
    with pytest.raises(SutureError) as caught:
        own_task(path)
    assert SECRET not in str(caught.value)
    return caught.value


def test_eight_lines_are_a_task(tmp_path: Path) -> None:
    assert len(EIGHT.strip().splitlines()) == 8
    other = [*ROWS, {**ROWS[0], "split": "train"}]
    load = own_task(write(tmp_path, rows=other))
    items = load.take(None)
    assert [(item.id, item.encounter) for item in items] == [(f"letter-{k + 1}", f"s{k // 2}") for k in range(4)]
    assert load.task.metrics[:3] == ("rougeL", "fact_omission", "fact_fabrication")
    assert {"words", "refusal", "empty", "language_mixing"} <= set(load.task.metrics)
    asked = ask(load.task, items, lambda text: f"<user>{text}")
    assert asked.questions[0].context == f"<user>Write the letter.\n\n{SECRET} 0, no fever."


def test_it_runs(tmp_path: Path) -> None:
    load = own_task(write(tmp_path, EIGHT + "max_new_tokens: 4\n"))
    model = tiny_model(tmp_path / "model")
    rows = read_rows(evaluate_model(model, [load], tmp_path / "results", digest="a" * 64)["letter"])
    assert [row.cluster_id for row in rows] == ["s0", "s0", "s1", "s1"]
    assert set(load.task.metrics) | {"truncated"} == set(rows[0].scores)


def test_options_make_it_multiple_choice(tmp_path: Path) -> None:
    text = EIGHT.replace("metrics: [rougeL, fact_omission, fact_fabrication]", "options: options")
    rows = [{**ROWS[k], "options": ["rash", "cough"], "letter": answer} for k, answer in enumerate((1, "B", "cough"))]
    load = own_task(write(tmp_path, text, rows))
    assert [item.answer for item in load.take(None)] == [1, 1, 1]
    assert isinstance(load.take(None)[0], Choice)
    asked = ask(load.task, load.take(None), None)
    assert [instance.args[1] for instance in asked.questions[0].instances] == [" rash", " cough"]
    model = tiny_model(tmp_path / "model")
    rows_out = read_rows(evaluate_model(model, [load], tmp_path / "results", digest="a" * 64)["letter"])
    assert {row.answer for row in rows_out} <= {"rash", "cough"}


def test_repeated_ids_empty_references_and_a_missing_split_are_named(tmp_path: Path) -> None:
    rows = [{**row, "key": "k1"} for row in ROWS[:2]] + [{**ROWS[2], "key": "k3", "letter": " "}]
    error = fault(write(tmp_path, EIGHT + "id: key\n", rows))
    assert error.exit_code == 3
    assert {problem.must for problem in error.problems} == {"Ids must be unique.", "No reference may be empty."}
    assert "k1" in str(error)
    assert "k3" in str(error)
    assert "no row with split 'test'" in str(fault(write(tmp_path, rows=[{**ROWS[0], "split": "dev"}])))


def test_an_answer_that_is_no_option_is_named(tmp_path: Path) -> None:
    text = EIGHT.replace("metrics: [rougeL, fact_omission, fact_fabrication]", "options: options")
    rows = [{**ROWS[0], "options": ["rash", "cough"], "letter": answer} for answer in (2, "D", SECRET, None)]
    error = fault(write(tmp_path, text, rows))
    assert "index of one of the options" in str(error)
    assert all(f"letter-{k}" in str(error) for k in range(1, 5))


def test_another_encoding_a_missing_field_and_broken_lines_are_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "letters.jsonl").write_bytes(json.dumps(ROWS[0]).encode() + b'\n{"note": "caf\xe9"}\n')
    assert "must be UTF-8" in str(fault(path))
    assert "none called stay" in str(fault(write(tmp_path, rows=[{"note": SECRET, "letter": "x", "split": "test"}])))
    (tmp_path / "letters.jsonl").write_text(f'{{"note": "{SECRET}\n')
    assert "line 1" in str(fault(path))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{{input}}", "{{input", "syntax error"),
        ("{{input}}", "{{input}} {{nonsense}}", "'nonsense'"),
        ("{{input}}", "{{input.missing.deeper}}", "template must render"),
        ("rougeL", "rougeX", "'rougeX'"),
        ("split:", "splt:", "splt"),
        ("name: letter", "name: medqa", "name of a task"),
        ("{{input}}", "nothing", "{{input}}"),
        ("{{input}}", "the input", "{{input}}"),
        ("metrics: [rougeL, fact_omission, fact_fabrication]", "", "neither"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = write(tmp_path, EIGHT.replace(old, new))
    with pytest.raises((UsageError, BadInputError)) as caught:
        own_task(path)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_short_form_of_the_prompt(tmp_path: Path) -> None:
    load: Workload = own_task(write(tmp_path, EIGHT.replace("{{input}}", "{input}")))
    assert ask(load.task, load.take(1), None).questions[0].context.endswith(f"{SECRET} 0, no fever.")
    assert isinstance(load.take(1)[0], Record)


def test_the_keys_are_those_that_the_docs_name() -> None:
    text = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in OwnTask.model_fields)
