"""IFBench: prompts with verifiable instructions of its own, judged by its own verifiers under IFEval's rules.

The verifiers are those that `suture score` uses (`suture.evaluate.ifbench`, `suture.evaluate.verdicts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suture.data.tables import read_rows
from suture.errors import Problem, SutureError
from suture.evaluate.engine import Generation
from suture.evaluate.items import ItemRow
from suture.evaluate.workload import text_digest
from suture.tasks.task import Task

_PARTS = ("ifbench", "languages", "verdicts")


def problems() -> list[Problem]:
    """Return what keeps answers from being judged: the verifiers, or packages that they need."""
    if any(find_spec(f"suture.evaluate.{part}") is None for part in _PARTS):
        return [Problem("IFBench needs its verifiers.", "none in this version of Suture")]
    try:
        _part("ifbench").verifiers()
    except SutureError as error:
        return list(error.problems)
    return []


def signature() -> str:
    """Return the verifiers' libraries, versions and rules."""
    return str(_part("ifbench").signature())


def contexts(path: Path, limit: int | None, chat: Callable[[str], str]) -> list[str]:
    """Return the prompts as the model reads them."""
    return [chat(str(row["prompt"])) for row in read_rows(path)[:limit]]


def judge(task: Task, path: Path, limit: int | None, digest: str, answers: Sequence[Generation]) -> list[ItemRow]:
    """Return one row a prompt, in the file's order: the four levels of IFEval, as published."""
    verdicts, languages = _part("verdicts"), _part("languages").Languages()
    verifiers = _part("ifbench").verifiers()
    rows = []
    with _part("ifbench").offline(), languages.listening():
        for row, given in zip(read_rows(path)[:limit], answers, strict=True):
            key = str(row["key"])
            item = verdicts.Instructions(key, row["prompt"], tuple(row["instruction_id_list"]), tuple(row["kwargs"]))
            found = verdicts.judge(item, given.text, verifiers, languages)
            strict = [float(verdict.strict.published) for verdict in found]
            loose = [float(verdict.loose.published) for verdict in found]
            scores = {
                "prompt_level_strict": min(strict),
                "inst_level_strict": sum(strict) / len(strict),
                "prompt_level_loose": min(loose),
                "inst_level_loose": sum(loose) / len(loose),
            }
            where = (digest, task.name, key, key, text_digest(row["prompt"]), given.text, "")
            rows.append(ItemRow(*where, given.finish_reason, given.tokens, given.seconds, scores))
    return rows


def _part(name: str) -> Any:
    return import_module(f"suture.evaluate.{name}")
