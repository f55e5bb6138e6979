"""Evaluates one model on suites and tasks by name: what `suture eval` and Python call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from suture.checkpoint.digest import weights_digest
from suture.checkpoint.resolve import resolve_model
from suture.errors import BadInputError, MissingExtraError, Problem, UsageError
from suture.study.texts import own_workload

if TYPE_CHECKING:
    from suture.evaluate.workload import Workload

OWN_FOLDER = ("mts_section", "mts_likelihood")  # tasks that take the folder of MTS-Dialog itself


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: the work whose data are there, what suites lack (by task), and what single tasks lack."""

    work: list[Workload]
    missing: Mapping[str, list[Problem]] = field(default_factory=dict)
    refused: tuple[Problem, ...] = ()


def want(suites: Sequence[str], tasks: Sequence[str], data: Path | None) -> Wanted:
    """Return the work of suites and of tasks: names, name=FILE with items of one's own, or task files (.yaml).

    data is the folder below which the data sets lie. Raises UsageError for an unknown name or a malformed task file.
    """
    from suture.evaluate.suites import gather, own_task, suite_tasks

    if not suites and not tasks:
        raise UsageError(Problem("A suite or a task must be named.", "neither", do="Give --suite or --task."))
    gathered = gather(suite_tasks(suites), data)
    work = {load.task.name: load for load in gathered.work}
    refused: list[Problem] = []
    for entry in tasks:
        name, _, file = entry.partition("=")
        try:
            if name.endswith((".yaml", ".yml")):
                load = own_task(Path(name))
            else:
                load = own_workload(name, file, data=_mts(data) if name in OWN_FOLDER else _text(data))
            work[load.task.name] = load
        except BadInputError as error:
            refused += error.problems
    return Wanted(list(work.values()), gathered.missing, tuple(refused))


def refuse_unready(wanted: Wanted, folder: Path, *, backend: str, plain: bool, strict: bool) -> None:
    """Raise everything that is known to fail before the model in `folder` is loaded, all of it together.

    What suites lack is refused where nothing else is there to run, or with `strict`. With `plain` a model needs no chat
    template. MissingExtraError where only packages are missing, else BadInputError.
    """
    from suture.evaluate.ready import check_instructions, check_packages, check_template

    problems = list(wanted.refused)
    if strict or not wanted.work:
        problems += [problem for found in wanted.missing.values() for problem in found]
    packages = check_packages(wanted.work, backend)
    if find_spec("transformers") is not None:
        problems += check_template(folder, wanted.work, plain=plain)
    if not packages:
        problems += check_instructions(wanted.work)
    if problems:
        raise BadInputError(*dict.fromkeys(problems), *packages)
    if packages:
        raise MissingExtraError(*packages)


def evaluate_tasks(
    model: str | Path,
    tasks: Sequence[str],
    results: Path = Path("results"),
    *,
    limit: int | None = None,
    data: str | None = None,
    batch_size: int = 32,
) -> Path:
    """Evaluate `model` (a folder, or a hub id in the local cache) and return its folder results/<weights digest, 12>.

    tasks are names (also of a suite's tasks), name=FILE with items of one's own, or task files; data is the folder
    below which the data sets lie. A task whose results are there under the same key is not run again. A model without a
    chat template is given plain text. Raises what is missing, and what `evaluate_model` raises.
    """
    from suture.evaluate.further import plan_further
    from suture.evaluate.run import evaluate_model

    wanted = want([], tasks, Path(data) if data else None)
    folder = resolve_model(str(model))
    refuse_unready(wanted, folder, backend="hf", plain=True, strict=True)
    digest = weights_digest(folder)
    further = plan_further()
    evaluate_model(folder, wanted.work, results, digest=digest, batch_size=batch_size, limit=limit, further=further)
    return results / digest[:12]


def _text(data: Path | None) -> str | None:
    return None if data is None else str(data)


def _mts(data: Path | None) -> str | None:
    """Return the folder of MTS-Dialog's files below `data`, else `data` itself."""
    from suture.data.catalog import get_source
    from suture.data.source import find

    files = find(get_source("mts_dialog"), data).files if data is not None else {}
    return str(next(iter(files.values())).parent) if files else _text(data)
