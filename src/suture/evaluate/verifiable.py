"""IFBench: prompts with verifiable instructions of its own, judged by its own verifiers under IFEval's rules.

The verifiers are those that `suture score` uses (`suture.evaluate.ifbench`, `suture.evaluate.verdicts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from suture.data.tables import read_rows
from suture.errors import Problem, SutureError
from suture.evaluate import ifbench, ifeval
from suture.evaluate.engine import Generation
from suture.evaluate.items import ItemRow
from suture.tasks.task import Task


def problems() -> list[Problem]:
    """Return what keeps answers from being judged: packages that the verifiers need."""
    try:
        ifbench.verifiers()
    except SutureError as error:
        return list(error.problems)
    return []


def signature() -> str:
    """Return the verifiers' libraries, versions and rules."""
    return ifbench.signature()


def contexts(path: Path, limit: int | None, chat: Callable[[str], str]) -> list[str]:
    """Return the prompts as the model reads them."""
    return [chat(str(row["prompt"])) for row in read_rows(path)[:limit]]


def judge(task: Task, path: Path, limit: int | None, digest: str, answers: Sequence[Generation]) -> list[ItemRow]:
    """Return one row a prompt, in the file's order: the four levels of IFEval, as published."""
    verifiers = ifbench.verifiers()
    items = [ifeval.instructions_of(row) for row in read_rows(path)[:limit]]
    with ifbench.offline():
        return ifeval.judge_items(items, verifiers, task, digest, answers)
