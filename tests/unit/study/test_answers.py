from __future__ import annotations

from pathlib import Path

from suture.data.records import Record, write_items
from suture.evaluate.items import ItemRow, write_rows
from suture.study.answers import answer_sets
from suture.study.tasks import keep_task
from suture.tasks.own import OwnTask, task_of

PROMPT = "Visit {{encounter}}: write the letter.\n\n{{input}}"


def test_a_prompt_that_uses_more_than_the_input_is_shown_as_it_was_asked(tmp_path: Path) -> None:
    own = OwnTask(name="letters", data="none", input="note", target="letter", prompt=PROMPT, metrics=("rougeL",))
    record = Record("a", "letters", "v7", "", "A cough.", "Dear colleague.", "test", "one's own")
    source, results = tmp_path / "source", tmp_path / "general"
    source.mkdir()
    keep_task(source, task_of(own))
    write_items(source / "letters.jsonl", [record])
    row = ItemRow("digest", "letters", "a", "v7", "prompt", response="A cough, seen.", scores={"rougeL": 50.0})
    write_rows(results / "letters", [row], {})
    (found,) = answer_sets("letters", source, {"general": results})
    assert found.prompt == "Visit v7: write the letter.\n\nA cough."
    assert found.answers == {"general": "A cough, seen."}
