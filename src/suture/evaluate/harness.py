"""Tasks of the suites through lm-evaluation-harness: its task files make prompts and judge answers, our engine answers.

A task file stands in `suture/tasks/harness`; a task of one's own has none and is given to the harness as the same kind
of configuration. Documents are canonical items. What the harness's own model class (HFLM) would be asked, our engine is
asked in the same tokens (see `Engine.pairs`, `Engine.generate`), the options of a question after one reading of it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from blake3 import blake3

from suture.data.documents import as_documents
from suture.data.records import Choice, Record
from suture.errors import BadInputError, Problem, refuse
from suture.evaluate import textscores
from suture.evaluate.backend import Advance, Answerer
from suture.evaluate.items import ItemRow
from suture.evaluate.metrics import length, side_effects
from suture.evaluate.packaged import stay_offline
from suture.evaluate.workload import text_digest
from suture.tasks.suites import FOLDER, task_file
from suture.tasks.task import Task

Chat = Callable[[str], str]
Items = Sequence[Record | Choice]
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
    harness = _load(task, as_documents(items))
    generates = harness.OUTPUT_TYPE == "generate_until"
    settings: dict[str, Any] = {}
    if generates and chat is not None:
        apply = chat
        settings = {
            "apply_chat_template": True,
            "chat_template": lambda history, **_: apply(history[-1]["content"]),
            "tokenizer_name": "suture",
        }
    with _quiet():
        try:
            harness.build_all_requests(**settings)
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
    rows = []
    for question, found in zip(questions, answerer.pairs(requests, advance=advance), strict=True):
        nats = [likelihood.nats for likelihood in found]
        judged = asked.harness.process_results(question.document, [(value, False) for value in nats])
        scores = {CHOICE_SCORES[name]: float(value) for name, value in judged.items() if name in CHOICE_SCORES}
        scores["answer_nll"] = _nll(nats, question.item)
        chosen = question.instances[nats.index(max(nats))].args[1].strip()
        rows.append(_row(asked, question, digest, answer=chosen, tokens=sum(f.tokens for f in found), scores=scores))
    return rows


def protocol_digest(task: Task) -> str:
    """Return the digest of the task file and of what it includes; "" for a task that has none."""
    paths = [task_file(task), FOLDER / "_choice.yaml", FOLDER / "_text.yaml"]
    if task.instruction:
        return ""
    return blake3(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def signatures(task: Task) -> dict[str, str]:
    """Return metric -> library, version and settings."""
    written = [metric for metric in task.metrics if metric in textscores.NAMES]
    harness = f"lm_eval {version('lm_eval')}, task suture_{task.name}"
    if task.instruction:
        harness = f"lm_eval {version('lm_eval')}, a task file of one's own"
    return {**dict.fromkeys(task.metrics, harness), **textscores.signatures(written)}


def score_document(document: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Return the scores of one answer to a document; what the harness's task files call (`process_results`)."""
    metrics = [name for name in textscores.NAMES if name != "fact_recall"]
    return textscores.score_text(metrics, str(results[0]).strip(), _record(document))


def _record(document: Mapping[str, Any]) -> Record:
    return Record(
        id=str(document["id"]),
        source=str(document["source"]),
        encounter=str(document["encounter"]),
        section=str(document["section"]),
        input=str(document["input"]),
        target=str(document["target"]),
        split=str(document["split"]),
        licence=str(document["licence"]),
    )


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


def _load(task: Task, documents: Sequence[Mapping[str, Any]]) -> Any:
    """Return the harness's task with `documents` as its test split."""
    stay_offline()
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    data = {"custom_dataset": lambda **_: {"test": Dataset.from_list([dict(document) for document in documents])}}
    with _quiet():
        if task.instruction:
            return ConfigurableTask(config={**_own_config(task, documents), **data})
        name = f"suture_{task.name}"
        settings = {"task": name, **data}
        if task.max_new_tokens:
            limits = {"until": [], "do_sample": False, "max_gen_toks": task.max_new_tokens}
            settings["generation_kwargs"] = limits
        return _manager().load([{"group": "local", "task": [settings]}])["tasks"][name]


@cache
def _manager() -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(FOLDER), include_defaults=False)


def _own_config(task: Task, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the harness's configuration of a task of one's own."""
    shared = {"task": task.name, "test_split": "test", "num_fewshot": 0, "doc_to_text": task.instruction}
    if "options" in documents[0]:
        metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")]
        choice = {"output_type": "multiple_choice", "doc_to_choice": "{{options}}", "doc_to_target": "answer"}
        return {**shared, **choice, "metric_list": metrics}
    metrics = [{"metric": name, "aggregation": "nanmean", "higher_is_better": True} for name in task.metrics]
    return {
        **shared,
        "output_type": "generate_until",
        "doc_to_target": "{{target}}",
        "process_results": score_document,
        "metric_list": metrics,
        "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": task.max_new_tokens},
    }


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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the harness's progress bars and log lines, which may quote documents, off the terminal."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def check_documents(task: Task, items: Items) -> None:
    """Raise BadInputError where the prompt of a task of one's own does not render for an item, which is named."""
    from jinja2 import Environment, StrictUndefined, TemplateError, TemplateSyntaxError, meta

    environment = Environment(undefined=StrictUndefined)
    try:
        asked = meta.find_undeclared_variables(environment.parse(task.instruction))
    except TemplateSyntaxError as error:
        got = f"a syntax error in line {error.lineno}"
        raise BadInputError(Problem("The prompt must be a Jinja template.", got, f"task {task.name}")) from None
    documents = as_documents(items)
    known = documents[0]
    problems = [
        Problem(f"The prompt may use {', '.join(sorted(known))}.", f"'{name}'", f"task {task.name}")
        for name in sorted(asked - known.keys())
    ]
    refuse(BadInputError, problems)
    template = environment.from_string(task.instruction)
    for document in documents:
        try:
            template.render(**document)
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            got = f"{type(error).__name__} at item {document['id']}"
            problems.append(Problem("The prompt's template must render.", got, f"task {task.name}"))
    refuse(BadInputError, problems[:10])
