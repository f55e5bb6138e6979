"""IFEval through lm-evaluation-harness: its task makes the prompts, our engine answers, its verifiers judge.

The harness's own task (`lm_eval/tasks/ifeval`) makes the requests, from a local file instead of the hub. The verdicts
follow the published rules (`suture.evaluate.ifeval_rules`), with langdetect seeded, as in `suture score`.
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
from suture.evaluate import ifeval_rules, verdicts
from suture.evaluate.backend import Answerer
from suture.evaluate.engine import Advance, Engine, Generation
from suture.evaluate.items import ItemRow
from suture.evaluate.languages import Languages
from suture.evaluate.packaged import punkt, stay_offline
from suture.evaluate.verdicts import Instructions, Verdict, Verifiers
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task

Chat = Callable[..., str]
INSTRUCTIONS = ("instruction_id_list", "kwargs")


def signature() -> str:
    """Return library, version and settings."""
    return f"requests by lm_eval task ifeval 4.0; {ifeval_rules.signature()}"


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
    """Return the rows of `answers`, one an instance of the harness's task, in order; the verdicts are as published."""
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
    """Return one row an item, in order: the four levels of IFEval, as published. IFBench shares them."""
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
                scores=_scores(found),
            )
            rows.append(row)
    return rows


def _scores(found: Sequence[Verdict]) -> dict[str, float]:
    strict, loose = ([getattr(verdict, kind).published for verdict in found] for kind in ("strict", "loose"))
    return {
        "prompt_level_strict": float(all(strict)),
        "inst_level_strict": sum(strict) / len(strict),
        "prompt_level_loose": float(all(loose)),
        "inst_level_loose": sum(loose) / len(loose),
    }


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
