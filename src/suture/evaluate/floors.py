"""Floors: what a task yields to an answer that did not read it, as rows of pseudo-models beside the real ones.

    constant   one answer to all: the training target most often given, else the one nearest to all others (the medoid);
               for IFEval one fixed sentence
    copy       the input itself
    nearest    the target of the training record whose input shares most words
    chance     guessing: one in the number of options; 0 nats for the contrast

Likelihood and drift have none.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import suture
from suture.data.records import Choice, ContrastPair, Record, digest_items
from suture.evaluate import generation, harness, ifeval, memorisation, verifiable
from suture.evaluate.engine import Generation
from suture.evaluate.further import Further, add_scores, is_written
from suture.evaluate.items import ItemRow, read_meta, write_rows
from suture.evaluate.metrics import facts
from suture.evaluate.run import signatures
from suture.evaluate.workload import Workload, text_digest

SENTENCE = "Here is the answer to your request."
Rows = Callable[[], list[ItemRow]]


def evaluate_floors(
    workload: Workload,
    train: Sequence[Record],
    results: Path,
    *,
    limit: int | None = None,
    further: Further | None = None,
) -> dict[str, Path]:
    """Return floor label -> folder of rows, results/floor-<label>/<task>, for the floors that the task has.

    train: training records, needed by generation tasks only. further is scored on written answers beside the task's
    own metrics. The rows' model_digest is "floor:<label>".
    """
    folders: dict[str, Path] = {}
    for label, make in _floors(workload, train, limit).items():
        folders[label] = results / f"floor-{label}" / workload.task.name
        key = {
            "floor": label,
            "task": workload.task.name,
            "metrics": signatures(workload),
            "items": workload.digest(),
            "train": digest_items(train),
            "limit": limit,
            "suture": suture.__version__,
        }
        if read_meta(folders[label]).get("key") != key:
            began = time.perf_counter()
            rows = [_without_text(row, workload) for row in make()]
            write_rows(folders[label], rows, {"key": key, "items": len(rows), "seconds": time.perf_counter() - began})
        if further is not None and is_written(workload):
            add_scores(folders[label], workload.take(limit), further, partial(_answers, make))
    return folders


def _without_text(row: ItemRow, load: Workload) -> ItemRow:
    """Return the row without its answer, which is an item's own text or that of a training record."""
    return replace(row, response="") if load.task.kind == "harness" else row


def _answers(make: Rows) -> dict[str, str]:
    return {row.item_id: row.response for row in make()}


def _floors(load: Workload, train: Sequence[Record], limit: int | None) -> dict[str, Rows]:
    if isinstance(load.items, Path):
        return {"constant": partial(_ifeval, load, load.items, limit)}
    if load.task.kind == "harness":
        return _harness(load, train, limit)
    if load.task.kind == "canary":
        return {"chance": lambda: [memorisation.chance(load.task, record) for record in load.take(limit)]}
    if load.task.kind in ("choice", "contrast"):
        return {"chance": lambda: [_chance(load, item) for item in load.take(limit)]}
    if load.task.kind != "generation" or not train:
        return {}
    constant = medoid([record.target for record in train])
    answers: dict[str, Callable[[Record], str]] = {
        "constant": lambda record: constant,
        "copy": lambda record: record.input,
        "nearest": lambda record: nearest(record.input, train).target,
    }
    return {label: partial(_texts, load, label, answer, limit) for label, answer in answers.items()}


def _harness(load: Workload, train: Sequence[Record], limit: int | None) -> dict[str, Rows]:
    """Floors of a task of the harness: guessing for multiple choice; for texts the input, and what training has."""
    if all(isinstance(item, Choice) for item in load.items):  # type: ignore[union-attr]
        return {"chance": lambda: [_guess(load, item) for item in load.take(limit)]}
    answers: dict[str, Callable[[Record], str]] = {"copy": lambda record: record.input}
    if train:
        constant = medoid([record.target for record in train])
        answers["constant"] = lambda record: constant
        answers["nearest"] = lambda record: nearest(record.input, train).target

    return {label: partial(_judged, load, label, answer, limit) for label, answer in answers.items()}


def _judged(load: Workload, label: str, answer: Callable[[Record], str], limit: int | None) -> list[ItemRow]:
    asked = harness.ask(load.task, load.take(limit), None)
    rows = []
    for question in asked.questions:
        item = question.item
        if isinstance(item, Record):
            scores = harness.judge_text(asked, question, answer(item))
            where = (f"floor:{label}", load.task.name, item.id, item.encounter, question.prompt_digest)
            rows.append(ItemRow(*where, response=answer(item).strip(), scores=scores))
    return rows


def _guess(load: Workload, item: Choice) -> ItemRow:
    options = len(item.options)
    scores = {"accuracy": 1 / options, "accuracy_norm": 1 / options, "answer_nll": math.log(options)}
    prompt = text_digest(item.question, *item.options)
    return ItemRow("floor:chance", load.task.name, item.id, item.encounter, prompt, scores=scores)


def medoid(texts: Sequence[str]) -> str:
    """Return the text given most often, else the one nearest to all others in words (first of equals)."""
    text, count = Counter(texts).most_common(1)[0]
    if count > 1:
        return text
    bags = [_words(text) for text in texts]
    means = [sum(overlap(bag, other) for other in bags) for bag in bags]
    return texts[means.index(max(means))]


def nearest(text: str, train: Sequence[Record]) -> Record:
    """Return the training record whose input overlaps most with `text` (first of equals)."""
    bag = _words(text)
    near = [overlap(bag, _words(record.input)) for record in train]
    return train[near.index(max(near))]


def overlap(a: Counter[str], b: Counter[str]) -> float:
    """Return the F1 of two bags of words, in [0, 1]."""
    return 2 * (a & b).total() / max(a.total() + b.total(), 1)


def _words(text: str) -> Counter[str]:
    return Counter(text.lower().split())


def _texts(load: Workload, label: str, answer: Callable[[Record], str], limit: int | None) -> list[ItemRow]:
    words = facts.vocabulary(record.facts for record in load.take(None))
    return [
        generation.make_row(load.task, record, f"floor:{label}", answer(record), words) for record in load.take(limit)
    ]


def _ifeval(load: Workload, path: Path, limit: int | None) -> list[ItemRow]:
    if load.task.name == "ifbench":
        count = len(verifiable.contexts(path, limit, str))
        return verifiable.judge(
            load.task, path, limit, "floor:constant", [Generation(SENTENCE, 0, "stop", 0.0)] * count
        )
    judges = ifeval.load_harness(path, limit)
    answers = [Generation(SENTENCE, 0, "stop", 0.0)] * len(judges.instances)
    return ifeval.judge(judges, load.task, "floor:constant", answers)


def _chance(load: Workload, item: Choice | ContrastPair) -> ItemRow:
    if isinstance(item, Choice):
        options = len(item.options)
        scores = {"accuracy": 1 / options, "answer_nll": math.log(options)}
        prompt = text_digest(load.task.user_text(item.question), *item.options)
        return ItemRow("floor:chance", load.task.name, item.id, item.encounter, prompt, scores=scores)
    scores = {"contrast": 0.0, "contrast_sign": 0.5}
    prompt = text_digest(item.prompt_a, item.prompt_b, item.response_a, item.response_b)
    return ItemRow("floor:chance", load.task.name, item.id, item.topic, prompt, scores=scores)
