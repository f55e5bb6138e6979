"""The harness's tasks: from our task files, or configured for one's own; documents are given, not fetched."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from blake3 import blake3

from suture.data.documents import as_documents
from suture.data.records import Choice, Record
from suture.errors import BadInputError, Problem, refuse
from suture.evaluate import textscores
from suture.evaluate.packaged import stay_offline
from suture.tasks.suites import FOLDER, task_file
from suture.tasks.task import Task

Items = Sequence[Record | Choice]


def load_task(task: Task, documents: Sequence[Mapping[str, Any]]) -> Any:
    """Return the harness's task with `documents` as its test split."""
    stay_offline()
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    data = {"custom_dataset": lambda **_: {"test": Dataset.from_list([dict(document) for document in documents])}}
    with quiet():
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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


def protocol_digest(task: Task) -> str:
    """Return the digest of the task file and of what it includes; "" for a task that has none."""
    paths = [task_file(task), FOLDER / "_choice.yaml", FOLDER / "_text.yaml"]
    if task.instruction:
        return ""
    return blake3(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


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
