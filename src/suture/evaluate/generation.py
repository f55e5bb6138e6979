"""Generation tasks: answers every record greedily and scores the text against reference, record and input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suture.data.records import Record
from suture.evaluate import textscores
from suture.evaluate.backend import Advance, Answerer
from suture.evaluate.engine import Examples
from suture.evaluate.items import ItemRow
from suture.evaluate.metrics import facts
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task


def make_row(task: Task, record: Record, model_digest: str, response: str, words: facts.Vocabulary) -> ItemRow:
    """Return the row of one response to `record`, without tokens and time."""
    return ItemRow(
        model_digest,
        task.name,
        record.id,
        record.encounter,
        text_digest(task.user_text(record.input)),
        response=response,
        scores=textscores.score_text(task.metrics, response, record, words),
    )


def answer(
    engine: Answerer,
    task: Task,
    records: Sequence[Record],
    words: facts.Vocabulary,
    digest: str,
    batch: int,
    advance: Advance,
    examples: Examples = (),
) -> list[ItemRow]:
    """Return one row a record; `words` is the vocabulary of facts of the whole task, examples are shown before each."""
    prompts = [engine.chat(task.user_text(record.input), examples) for record in records]
    answers = engine.generate(prompts, max_new_tokens=task.max_new_tokens, batch_size=batch, advance=advance)
    rows = []
    for record, given in zip(records, answers, strict=True):
        row = make_row(task, record, digest, given.text.strip(), words)
        rows.append(replace(row, finish_reason=given.finish_reason, tokens=given.tokens, seconds=given.seconds))
    return rows
