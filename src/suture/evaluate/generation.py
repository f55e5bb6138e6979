"""Generation tasks: answers every record greedily and scores the text against reference, record and input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suture.data.records import Record
from suture.evaluate.engine import Advance, Engine
from suture.evaluate.items import ItemRow
from suture.evaluate.metrics import bleu, facts, length, meteor, rouge
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task


def signatures(task: Task) -> dict[str, str]:
    """Return metric -> library, version and settings, for the metrics of `task`."""
    known = {
        **dict.fromkeys(rouge.NAMES, rouge.signature()),
        "bleu": bleu.signature(),
        "meteor": meteor.signature(),
        **dict.fromkeys(("fact_recall", "fact_fabrication"), facts.signature()),
        **dict.fromkeys(("words", "repetition"), length.signature()),
    }
    return {metric: known[metric] for metric in task.metrics}


def score_text(task: Task, response: str, record: Record, words: facts.Vocabulary) -> dict[str, float]:
    """Return the metrics of `task` for one response."""
    found = {
        **rouge.scores(response, record.target),
        "bleu": bleu.score(response, record.target),
        "meteor": meteor.score(response, record.target),
        **facts.scores(response, record.facts, record.input, words),
        **length.scores(response),
    }
    return {metric: found[metric] for metric in task.metrics}


def make_row(task: Task, record: Record, model_digest: str, response: str, words: facts.Vocabulary) -> ItemRow:
    """Return the row of one response to `record`, without tokens and time."""
    return ItemRow(
        model_digest,
        task.name,
        record.id,
        record.encounter,
        text_digest(task.user_text(record.input)),
        response=response,
        scores=score_text(task, response, record, words),
    )


def answer(
    engine: Engine,
    task: Task,
    records: Sequence[Record],
    words: facts.Vocabulary,
    digest: str,
    batch: int,
    advance: Advance,
) -> list[ItemRow]:
    """Return one row a record; `words` is the vocabulary of facts of the whole task."""
    prompts = [engine.chat(task.user_text(record.input)) for record in records]
    answers = engine.generate(prompts, max_new_tokens=task.max_new_tokens, batch_size=batch, advance=advance)
    rows = []
    for record, given in zip(records, answers, strict=True):
        row = make_row(task, record, digest, given.text.strip(), words)
        rows.append(replace(row, finish_reason=given.finish_reason, tokens=given.tokens, seconds=given.seconds))
    return rows
