"""A task as batches of items, each of which is answered and kept alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from suture.data.records import Choice, Record
from suture.errors import Problem, UsageError
from suture.evaluate import drift, generation, harness, ifeval, memorisation, reading, verifiable
from suture.evaluate.backend import Advance, Answerer
from suture.evaluate.engine import Engine, Generation
from suture.evaluate.items import ItemRow
from suture.evaluate.metrics import facts, length, side_effects
from suture.evaluate.workload import Workload

READ_AT_ONCE = 64  # questions or references, which are only read
PROMPT_SIDE_EFFECTS = ("words", "repetition", "refusal", "empty")
Finish = Callable[[Sequence[ItemRow]], list[ItemRow]]


@dataclass(frozen=True, slots=True)
class Job:
    """A task cut into batches: answer(batch, advance) gives its rows; finish puts all rows in the items' order.

    size is what the batches advance by in all; sizes what each does.
    """

    batches: Sequence[Sequence[int]]
    answer: Callable[[Sequence[int], Advance], list[ItemRow]]
    finish: Finish
    sizes: Sequence[int]

    @property
    def size(self) -> int:
        """How many units of progress the whole job has."""
        return sum(self.sizes)


def make_job(
    answerer: Answerer,
    load: Workload,
    asked: harness.Asked | None,
    digest: str,
    tokenizer: str,
    batch_size: int,
    limit: int | None,
) -> Job:
    """Return the job of one workload; `asked` are the harness's questions where the task is one of its kind."""
    task = load.task
    if isinstance(load.items, Path):
        return _prompts(answerer, load, load.items, digest, batch_size, limit)
    some: list[Any] = list(load.take(limit))
    if asked is not None:
        questions = asked.questions
        at_once = batch_size if asked.generates else READ_AT_ONCE
        return _job(
            [len(question.context) for question in questions],
            [question.item.id for question in questions],
            at_once,
            lambda chosen, advance: harness.answer(
                answerer, asked, [questions[i] for i in chosen], digest, batch_size, advance
            ),
        )
    if task.kind == "generation":
        words = facts.vocabulary(record.facts for record in load.take(None))
        return _items(
            some,
            batch_size,
            lambda part, advance: generation.answer(
                answerer, task, part, words, digest, batch_size, advance, load.examples
            ),
        )
    if task.kind == "canary":
        return _items(
            some, batch_size, lambda part, advance: memorisation.answer(answerer, task, part, digest, advance)
        )
    if task.kind in ("choice", "likelihood"):
        read: Any = reading.choose if task.kind == "choice" else reading.likelihood
        return _items(some, READ_AT_ONCE, lambda part, advance: read(answerer, task, part, digest, advance))
    return _whole(answerer, load, some, digest, tokenizer)


def _items(some: list[Any], at_once: int, answer: Callable[[list[Any], Advance], list[ItemRow]]) -> Job:
    lengths = [len(item.question if isinstance(item, Choice) else item.input or item.target) for item in some]
    return _job(
        lengths, [item.id for item in some], at_once, lambda chosen, advance: answer([some[i] for i in chosen], advance)
    )


def _job(
    lengths: Sequence[int],
    ids: Sequence[str],
    at_once: int,
    answer: Callable[[Sequence[int], Advance], list[ItemRow]],
) -> Job:
    """Cut items into batches of like length, the longest first: memory runs short at once or not at all."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batches = [order[k : k + at_once] for k in range(0, len(order), at_once)]
    place = {name: k for k, name in enumerate(ids)}
    return Job(
        batches,
        answer,
        lambda rows: sorted(rows, key=lambda row: place[row.item_id]),
        [len(batch) for batch in batches],
    )


def _prompts(answerer: Answerer, load: Workload, path: Path, digest: str, batch_size: int, limit: int | None) -> Job:
    """IFEval and IFBench: responses are kept batch by batch, the verifiers judge them all at the end."""
    if load.task.name == "ifbench":
        contexts = verifiable.contexts(path, limit, answerer.chat)
    else:
        judges = ifeval.load_harness(path, limit, chat=lambda history, **_: answerer.chat(history[-1]["content"]))
        contexts = [instance.args[0] for instance in judges.instances]
    keys = [str(number) for number in range(len(contexts))]

    def answer(chosen: Sequence[int], advance: Advance) -> list[ItemRow]:
        given = answerer.generate(
            [contexts[i] for i in chosen],
            max_new_tokens=load.task.max_new_tokens,
            batch_size=batch_size,
            truncate=True,
            advance=advance,
        )
        return [
            ItemRow(digest, load.task.name, keys[i], keys[i], "", w.text, "", w.finish_reason, w.tokens, w.seconds, {})
            for i, w in zip(chosen, given, strict=True)
        ]

    def finish(rows: Sequence[ItemRow]) -> list[ItemRow]:
        held = {row.item_id: row for row in rows}
        given = [
            Generation(row.response, row.tokens, "stop" if row.finish_reason == "stop" else "length", row.seconds)
            for row in (held[key] for key in keys)
        ]
        if load.task.name == "ifbench":
            return [_with_side_effects(row) for row in verifiable.judge(load.task, path, limit, digest, given)]
        return [_with_side_effects(row) for row in ifeval.judge(judges, load.task, digest, given)]

    job = _job([len(context) for context in contexts], keys, batch_size, answer)
    return replace(job, finish=finish)


def _with_side_effects(row: ItemRow) -> ItemRow:
    """Add length, repetition, refusal and emptiness; not the language, which some prompts ask to be another."""
    found = {**length.scores(row.response), **side_effects.scores(row.response, row.response)}
    return replace(row, scores={**row.scores, **{name: found[name] for name in PROMPT_SIDE_EFFECTS}})


def _whole(answerer: Answerer, load: Workload, some: list[Any], digest: str, tokenizer: str) -> Job:
    """Contrast and drift share what they read between items: one batch, seconds of prefill."""
    if not isinstance(answerer, Engine):
        must = f"{load.task.name} needs the model in this process."
        raise UsageError(Problem(must, "another backend", do="Use --backend hf."))
    engine = answerer
    if load.task.kind == "contrast":
        size = len({prompt for pair in some for prompt in (pair.prompt_a, pair.prompt_b)})
        return Job(
            [range(len(some))],
            lambda _, advance: reading.contrast(engine, load.task, some, digest, advance),
            list,
            [size],
        )
    records: list[Record] = list(load.take(None))  # the parents' kept answers are to all of them
    return Job(
        [range(len(records))],
        lambda _, advance: drift.measure(engine, load.task, records, load.parents, digest, tokenizer, advance),
        list,
        [len(records) * len(load.parents)],
    )
