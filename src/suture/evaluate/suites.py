"""From names to workloads: the tasks of suites and task files of one's own; what of their data is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suture.data.catalog import get_source
from suture.data.documents import of_section
from suture.data.prepare import load, problems_of
from suture.data.records import Record
from suture.errors import BadInputError, Problem, SutureError, UsageError, refuse
from suture.evaluate import textscores, verifiable
from suture.evaluate.harness_tasks import check_documents
from suture.evaluate.packaged import ifbench_prompts, ifeval_prompts
from suture.evaluate.workload import Workload
from suture.tasks.own import read_own_task
from suture.tasks.suites import get_suite
from suture.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Gathered:
    """The workloads whose data are there, and the problems of the others by task."""

    work: list[Workload]
    missing: dict[str, list[Problem]]


def gather(tasks: Sequence[Task], data: Path | None) -> Gathered:
    """Return the workloads of `tasks` on the data below `data`; malformed data is a problem like missing data."""
    work: list[Workload] = []
    missing: dict[str, list[Problem]] = {}
    for task in tasks:
        problems = problems_of(task.dataset, data)
        packaged = _packaged_prompts(task) if problems and task.kind == "ifeval" else None
        problems = [] if packaged else problems
        if task.name == "ifbench":
            problems += verifiable.problems()
        if problems:
            missing[task.name] = problems
            continue
        if packaged or data is None:
            work += [Workload(task, packaged)] if packaged else []
            continue
        try:
            loaded = load(task.dataset, data)
            items = loaded.path or of_section(loaded, task.section)
            if not items:
                raise BadInputError(Problem(f"{task.name} must have items.", "none", str(data)))
        except BadInputError as error:
            missing[task.name] = list(error.problems)
            continue
        work.append(Workload(task, items))
    return Gathered(work, missing)


def _packaged_prompts(task: Task) -> Path | None:
    """Return the prompts of IFEval or IFBench inside an installed package, None where it is not installed."""
    try:
        return ifeval_prompts() if task.name == "ifeval" else ifbench_prompts()
    except SutureError:
        return None


def suite_tasks(names: Sequence[str]) -> list[Task]:
    """Return the tasks of several suites, each once."""
    return list({task.name: task for name in names for task in get_suite(name)}.values())


def suite_workload(task: Task, file: str, data: str | None) -> Workload:
    """Return one task of a suite on its data below `data`. Raises UsageError for a file, BadInputError for no data."""
    if file:
        raise UsageError(Problem(f"{task.name} takes its items from the data folder.", f"{task.name}=FILE"))
    gathered = gather([task], Path(data) if data else None)
    refuse(BadInputError, [problem for found in gathered.missing.values() for problem in found])
    return gathered.work[0]


def own_task(path: Path) -> Workload:
    """Return the workload of a task file; raises UsageError or BadInputError with every problem of file and data."""
    task, items = read_own_task(path, textscores.NAMES)
    check_documents(task, items)
    return Workload(task, items)


def training(task: Task, data: Path | None, *, most: int = 200) -> list[Record]:
    """Return training records of a task's data set, the first `most`, for its floors; none where there is no split."""
    if data is None or not task.dataset or task.kind != "harness":
        return []
    source = get_source(task.dataset)
    if "train" not in source.splits or source.kind is not Record:
        return []
    try:
        found = of_section(load(task.dataset, data, "train"), task.section)
    except BadInputError:
        return []
    return [item for item in found if isinstance(item, Record)][:most]
