"""IFBench: prompts with verifiable instructions of its own, judged by its own verifiers under IFEval's rules.

The verifiers are those that `suture score` uses (`suture.evaluate.ifbench`, `suture.evaluate.verdicts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from suture.data.tables import read_rows
from suture.errors import Problem, SutureError
from suture.evaluate import ifbench
from suture.evaluate.engine import Generation
from suture.evaluate.items import ItemRow
from suture.evaluate.languages import Languages
from suture.evaluate.verdicts import Instructions
from suture.evaluate.verdicts import judge as judge_instructions
from suture.evaluate.workload import text_digest
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
    languages, verifiers = Languages(), ifbench.verifiers()
    rows = []
    with ifbench.offline(), languages.listening():
        for row, given in zip(read_rows(path)[:limit], answers, strict=True):
            key = str(row["key"])
            item = Instructions(key, row["prompt"], tuple(row["instruction_id_list"]), tuple(row["kwargs"]))
            found = judge_instructions(item, given.text, verifiers, languages)
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
