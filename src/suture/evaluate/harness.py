"""Tasks of the suites through lm-evaluation-harness: its task files make prompts and judge answers, our engine answers.

A task file stands in `suture/tasks/harness`; a task of one's own has none and is given to the harness as the same kind
of configuration. Documents are canonical items. What the harness's own model class (HFLM) would be asked, our engine is
asked in the same tokens (see `Engine.pairs`, `Engine.generate`), the options of a question after one reading of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from suture.data.documents import as_documents
from suture.data.records import Choice, Record
from suture.errors import BadInputError, Problem, SutureError
from suture.evaluate import textscores
from suture.evaluate.backend import Advance, Answerer
from suture.evaluate.harness_tasks import Items, load_task, quiet
from suture.evaluate.items import ItemRow
from suture.evaluate.metrics import length, side_effects
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task

Chat = Callable[[str], str]
CHOICE_SCORES = {"acc": "accuracy", "acc_norm": "accuracy_norm", "exact_match": "exact_match"}


@dataclass(frozen=True, slots=True)
class Question:
    """One item as the harness asks it: its document, its requests (context, continuation or settings), its digest."""

    item: Record | Choice
    document: Mapping[str, Any]
    instances: Sequence[Any]
    prompt_digest: str

    def item_text(self) -> str:
        """Return the text that the item gives."""
        return self.item.input if isinstance(self.item, Record) else self.item.question

    @property
    def context(self) -> str:
        """The text before what is read or written."""
        return str(self.instances[0].args[0])


@dataclass(frozen=True, slots=True)
class Asked:
    """A task of the harness and its questions, in the items' order."""

    task: Task
    harness: Any
    questions: Sequence[Question]

    @property
    def generates(self) -> bool:
        """Whether answers are written, rather than options read."""
        return str(self.harness.OUTPUT_TYPE) == "generate_until"


def ask(task: Task, items: Items, chat: Chat | None) -> Asked:
    """Build what `items` are asked; `chat` applies the model's template to a user turn, for tasks that generate.

    Raises BadInputError where the task's or the model's template fails to render, naming the item and no text of it.
    """
    harness = load_task(task, as_documents(items))
    generates = harness.OUTPUT_TYPE == "generate_until"
    settings: dict[str, Any] = {}
    if generates and chat is not None:
        apply = chat
        settings = {
            "apply_chat_template": True,
            "chat_template": lambda history, **_: apply(history[-1]["content"]),
            "tokenizer_name": "suture",
        }
    with quiet():
        try:
            harness.build_all_requests(**settings)
        except SutureError:
            raise
        except Exception as error:
            raise _unrenderable(task, harness, items, error) from None
    grouped: dict[int, list[Any]] = {}
    for instance in harness.instances:
        grouped.setdefault(instance.doc_id, []).append(instance)
    questions = [
        Question(item, instances[0].doc, instances, _digest(harness, instances))
        for item, instances in zip(items, (grouped[k] for k in sorted(grouped)), strict=True)
    ]
    return Asked(task, harness, questions)


def answer(
    answerer: Answerer, asked: Asked, questions: Sequence[Question], digest: str, batch: int, advance: Advance
) -> list[ItemRow]:
    """Answer some questions of a task; one row a question, in order."""
    if asked.generates:
        return _write(answerer, asked, questions, digest, batch, advance)
    requests = [(q.context, [instance.args[1] for instance in q.instances]) for q in questions]
    began = time.perf_counter()
    read = answerer.pairs(requests, advance=advance)
    seconds = (time.perf_counter() - began) / max(len(questions), 1)
    rows = []
    for question, found in zip(questions, read, strict=True):
        nats = [likelihood.nats for likelihood in found]
        judged = asked.harness.process_results(question.document, [(value, False) for value in nats])
        scores = {CHOICE_SCORES[name]: float(value) for name, value in judged.items() if name in CHOICE_SCORES}
        scores["answer_nll"] = _nll(nats, question.item)
        chosen = question.instances[nats.index(max(nats))].args[1].strip()
        tokens = sum(likelihood.tokens for likelihood in found)
        rows.append(_row(asked, question, digest, answer=chosen, tokens=tokens, seconds=seconds, scores=scores))
    return rows


def signatures(task: Task) -> dict[str, str]:
    """Return metric -> library, version and settings."""
    written = [metric for metric in task.metrics if metric in textscores.NAMES]
    harness = f"lm_eval {version('lm_eval')}, task suture_{task.name}"
    if task.instruction:
        harness = f"lm_eval {version('lm_eval')}, a task file of one's own"
    return {**dict.fromkeys(task.metrics, harness), **textscores.signatures(written)}


def _write(
    answerer: Answerer, asked: Asked, questions: Sequence[Question], digest: str, batch: int, advance: Advance
) -> list[ItemRow]:
    contexts = [question.context for question in questions]
    limit = asked.task.max_new_tokens
    given = answerer.generate(contexts, max_new_tokens=limit, batch_size=batch, truncate=True, advance=advance)
    rows = []
    for question, written in zip(questions, given, strict=True):
        extracted, _ = _judge(asked, question, written.text.strip())
        scores = judge_text(asked, question, written.text)
        row = _row(
            asked,
            question,
            digest,
            response=written.text.strip(),
            answer=extracted,
            finish_reason=written.finish_reason,
            tokens=written.tokens,
            seconds=written.seconds,
            scores={**scores, "truncated": float(written.truncated)},
        )
        rows.append(row)
    return rows


def judge_text(asked: Asked, question: Question, response: str) -> dict[str, float]:
    """Return every score of one answer, its side effects among them."""
    _, found = _judge(asked, question, response.strip())
    side = {**length.scores(response), **side_effects.scores(response, question.item_text())}
    return {metric: found.get(metric, side.get(metric, float("nan"))) for metric in asked.task.metrics}


def _judge(asked: Asked, question: Question, response: str) -> tuple[str, dict[str, float]]:
    """Return (the answer that the harness's filter extracts, "" where it has none, the harness's scores)."""
    (instance,) = question.instances
    filters = [pipeline for pipeline in asked.harness._filters if pipeline.name != "none"]
    if not filters:
        found = asked.harness.process_results(question.document, [response])
        return "", {name: float(value) for name, value in found.items()}
    instance.resps, instance.filtered_resps = [response], {}
    filters[0].apply([instance])
    extracted = str(instance.filtered_resps[filters[0].name])
    found = asked.harness.process_results(question.document, [extracted])
    return extracted, {name: float(value) for name, value in found.items()}


def _row(asked: Asked, question: Question, digest: str, **values: Any) -> ItemRow:
    where = (digest, asked.task.name, question.item.id, question.item.encounter, question.prompt_digest)
    return ItemRow(*where, **values)


def _nll(nats: Sequence[float], item: Record | Choice) -> float:
    if not isinstance(item, Choice):
        return float("nan")
    top = max(nats)
    return top + math.log(sum(math.exp(value - top) for value in nats)) - nats[item.answer]


def _digest(harness: Any, instances: Sequence[Any]) -> str:
    """Return the digest of what an item asks, before any chat template, options included."""
    document = instances[0].doc
    text = f"{harness.config.description or ''}{harness.doc_to_text(document)}"
    options = [instance.args[1] for instance in instances if isinstance(instance.args[1], str)]
    return text_digest(text, *options)


def _unrenderable(task: Task, harness: Any, items: Items, error: Exception) -> BadInputError:
    """Say which template fails on which item; the error's own words may quote the item and are left out."""
    for item, document in zip(items, harness.test_docs(), strict=True):
        try:
            harness.doc_to_text(document)
        except Exception as inner:
            got = f"{type(inner).__name__} at item {item.id}"
            return BadInputError(Problem("The prompt's template must render.", got, f"task {task.name}"))
    got = type(error).__name__
    return BadInputError(Problem("The model's chat template must render one user turn.", got, f"task {task.name}"))
