"""IFEval through lm-evaluation-harness: its task makes the prompts, our engine answers, its verifiers judge.

The harness's own task (`lm_eval/tasks/ifeval`) makes the requests, from a local file instead of the hub. The verdicts
follow the published rules (`suture.evaluate.ifeval_rules`), with langdetect seeded, as in `suture score`, and stand
beside the repaired ones (`suture.evaluate.repaired`).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suture.data.records import Record
from suture.errors import BadInputError, Problem, refuse
from suture.evaluate import ifeval_rules, repaired, verdicts
from suture.evaluate.backend import Answerer
from suture.evaluate.engine import Advance, Engine, Generation
from suture.evaluate.items import ItemRow
from suture.evaluate.languages import Languages
from suture.evaluate.packaged import punkt, stay_offline
from suture.evaluate.verdicts import Instructions, Verifiers
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task

Chat = Callable[..., str]
INSTRUCTIONS = ("instruction_id_list", "kwargs")


def signatures(metrics: Sequence[str]) -> dict[str, str]:
    """Return metric -> library, version and settings."""
    published = f"requests by lm_eval task ifeval 4.0; {ifeval_rules.signature()}"
    return {name: f"{published}; {repaired.HOW}" if repaired.is_repaired(name) else published for name in metrics}


def answer(
    engine: Engine, task: Task, prompts: Path, digest: str, limit: int | None, batch: int, advance: Advance
) -> list[ItemRow]:
    """Return one row a prompt, of the first `limit` ones in the file's order."""
    harness = load_harness(prompts, limit, chat=lambda history, **_: engine.chat(history[-1]["content"]))
    contexts = [instance.args[0] for instance in harness.instances]
    given = engine.generate(contexts, max_new_tokens=task.max_new_tokens, batch_size=batch, advance=advance)
    return judge(harness, task, digest, given)


def count(prompts: Path, limit: int | None) -> int:
    """Return how many prompts will be run."""
    return len(_read(prompts)[:limit])


def load_harness(prompts: Path, limit: int | None, *, chat: Chat | None = None) -> Any:
    """Return the harness's task, the requests of the first `limit` prompts built; `chat` applies a chat template."""
    stay_offline()
    punkt()
    import datasets
    from lm_eval.tasks import TaskManager

    rows = _read(prompts)
    folder = Path(str(find_spec("lm_eval").origin)).parent / "tasks" / "ifeval"  # type: ignore[union-attr]
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    # Inside a group a task of the index can be given other data; asked for by its name alone it would go to the hub.
    local = {"task": "ifeval", "custom_dataset": lambda **_: {"train": datasets.Dataset.from_list(rows)}}
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with (
        contextlib.redirect_stderr(io.StringIO()),
        _same_random(),
    ):  # its progress bars; and it seeds
        task = manager.load([{"group": "local", "task": [local]}])["tasks"]["ifeval"]
        name = "suture" if chat else ""
        task.build_all_requests(limit=limit, apply_chat_template=bool(chat), chat_template=chat, tokenizer_name=name)
    return task


def judge(harness: Any, task: Task, digest: str, answers: Sequence[Generation]) -> list[ItemRow]:
    """Return the rows of `answers`, one an instance of the harness's task, in order."""
    items = [instructions_of(instance.doc) for instance in harness.instances]
    return judge_items(items, ifeval_rules.verifiers(), task, digest, answers)


def records_of(prompts: Path) -> list[Record]:
    """Return the prompts of a file as records, their instructions as facts: items that `answer_records` takes."""
    bare = Record("", "ifeval", "", "", "", "", "test", "Apache-2.0")
    return [
        replace(bare, id=str(row["key"]), input=row["prompt"], facts={name: row[name] for name in INSTRUCTIONS})
        for row in _read(prompts)
    ]


def answer_records(
    engine: Answerer, task: Task, records: Sequence[Record], digest: str, batch: int, advance: Advance
) -> list[ItemRow]:
    """Return one row a record of `records_of`. The request is that of the harness's task: the prompt, one user turn."""
    given = engine.generate(
        [engine.chat(record.input) for record in records],
        max_new_tokens=task.max_new_tokens,
        batch_size=batch,
        truncate=True,
        advance=advance,
    )
    items = [instructions_of({"key": record.id, "prompt": record.input, **record.facts}) for record in records]
    return judge_items(items, ifeval_rules.verifiers(), task, digest, given)


def instructions_of(row: Mapping[str, Any]) -> Instructions:
    """Return the instructions of one line of a prompts' file."""
    return Instructions(str(row["key"]), row["prompt"], tuple(row["instruction_id_list"]), tuple(row["kwargs"]))


def judge_items(
    items: Sequence[Instructions], verifiers: Verifiers, task: Task, digest: str, answers: Sequence[Generation]
) -> list[ItemRow]:
    """Return one row an item, in order: the four levels of IFEval as published, and repaired where the task has both.

    IFBench's verifiers draw nothing, so that there is nothing to repair.
    """
    both = any(map(repaired.is_repaired, task.metrics))
    rows = []
    languages = Languages()
    with languages.listening():
        for item, given in zip(items, answers, strict=True):
            found = verdicts.judge(item, given.text, verifiers, languages)
            row = ItemRow(
                digest,
                task.name,
                item.key,
                item.key,
                text_digest(item.prompt),
                response=given.text,
                finish_reason=given.finish_reason,
                tokens=given.tokens,
                seconds=given.seconds,
                scores={**repaired.levels(found, "published"), **(repaired.scores(found) if both else {})},
                verdicts=repaired.encode(found, both=both),
            )
            rows.append(row)
    return rows


@contextlib.contextmanager
def _same_random() -> Any:
    """Leave Python's generator as it was: the harness seeds it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _read(path: Path) -> list[dict[str, Any]]:
    """Read the prompts' file; raises BadInputError naming every line that is not one."""
    if not path.is_file():
        raise BadInputError(Problem("The IFEval prompts must exist.", "no such file", str(path), "Check the path."))
    needed = {"key", "prompt", *INSTRUCTIONS}
    rows, problems = [], []
    for number, line in enumerate(path.read_bytes().rstrip(b"\n").split(b"\n"), start=1):  # no other line ends
        try:
            row = json.loads(line)
        except ValueError:  # no JSON, or not UTF-8
            row = None
        if isinstance(row, dict) and needed <= row.keys():
            rows.append({name: row[name] for name in sorted(needed)})
        else:
            problems.append(
                Problem(f"A line must be an object with {sorted(needed)}.", "another", f"{path}, line {number}")
            )
    refuse(BadInputError, problems)
    return rows
