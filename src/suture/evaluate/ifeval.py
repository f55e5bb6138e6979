"""IFEval through lm-evaluation-harness: its task makes the prompts and judges the answers, our engine generates them.

The harness's own task (`lm_eval/tasks/ifeval`) is used as it is; only its data come from a local file instead of the
hub. Two things that it leaves to chance are seeded: langdetect, and the verifiers that draw what a prompt leaves open.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suture.errors import BadInputError, Problem, refuse
from suture.evaluate.engine import Advance, Engine, Generation
from suture.evaluate.items import ItemRow
from suture.evaluate.packaged import punkt, stay_offline
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task

Chat = Callable[..., str]


def signature() -> str:
    """Return library, version and settings."""
    return f"lm_eval {version('lm_eval')} task ifeval 4.0, langdetect {version('langdetect')} seeded with 0"


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
    with contextlib.redirect_stderr(io.StringIO()), _seeded():  # its progress bars; it seeds Python's generator itself
        task = manager.load([{"group": "local", "task": [local]}])["tasks"]["ifeval"]
        name = "suture" if chat else ""
        task.build_all_requests(limit=limit, apply_chat_template=bool(chat), chat_template=chat, tokenizer_name=name)
    return task


def judge(harness: Any, task: Task, digest: str, answers: Sequence[Generation]) -> list[ItemRow]:
    """Return the rows of `answers`, one an instance of the harness's task, in order."""
    rows = []
    with _seeded():
        for instance, given in zip(harness.instances, answers, strict=True):
            found = harness.process_results(instance.doc, [given.text])
            scores = {
                "prompt_level_strict": float(found["prompt_level_strict_acc"]),
                "inst_level_strict": _share(found["inst_level_strict_acc"]),
                "prompt_level_loose": float(found["prompt_level_loose_acc"]),
                "inst_level_loose": _share(found["inst_level_loose_acc"]),
            }
            key = str(instance.doc["key"])
            row = ItemRow(
                digest,
                task.name,
                key,
                key,
                text_digest(instance.doc["prompt"]),
                response=given.text,
                finish_reason=given.finish_reason,
                tokens=given.tokens,
                seconds=given.seconds,
                scores=scores,
            )
            rows.append(row)
    return rows


def _share(passed: Sequence[bool]) -> float:
    return sum(passed) / len(passed)


@contextlib.contextmanager
def _seeded() -> Any:
    """Make langdetect and the verifiers' own draws repeatable, leaving Python's generator as it was."""
    import langdetect

    langdetect.DetectorFactory.seed = 0
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


def _read(path: Path) -> list[dict[str, Any]]:
    """Read the prompts' file; raises BadInputError naming every line that is not one."""
    if not path.is_file():
        raise BadInputError(Problem("The IFEval prompts must exist.", "no such file", str(path), "Check the path."))
    needed = {"key", "prompt", "instruction_id_list", "kwargs"}
    rows, problems = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if isinstance(row, dict) and needed <= row.keys():
            rows.append({name: row[name] for name in sorted(needed)})
        else:
            problems.append(
                Problem(f"A line must be an object with {sorted(needed)}.", "another", f"{path}, line {number}")
            )
    refuse(BadInputError, problems)
    return rows
