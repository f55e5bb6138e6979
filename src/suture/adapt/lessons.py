"""What a few-shot adaptation learns: the training records of a task, drawn by seed, free of what the test holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from suture.adapt.shots import draw_shots
from suture.data.catalog import get_source
from suture.data.documents import of_section
from suture.data.leakage import shared_ngrams, text_of
from suture.data.prepare import load, problems_of
from suture.data.records import Choice, Record, read_items
from suture.data.tables import read_rows, tidy
from suture.errors import BadInputError, Problem, UsageError, refuse, some
from suture.tasks import own
from suture.tasks.registry import TASKS, get_task, is_suite_task
from suture.tasks.suites import user_turn
from suture.tasks.task import Task

SEED, ENCOUNTERS, TESTED = 1, 240, 64  # of the synthetic clinic, as in the embedded study
N = 8
TEXT_FIELDS = ("text", "note", "target")


@dataclass(frozen=True, slots=True)
class Lesson:
    """Records to draw shots from, the user's turn ({input} is the record's text), and the test they must not repeat.

    templated: the texts are made from a template, so that words in a row tell nothing; encounters alone are compared.
    """

    records: list[Record]
    instruction: str
    test: list[Record]
    templated: bool = False


def lesson_of(task: str, data: Path | None, *, split: str = "train") -> Lesson:
    """Return the lesson of a task that writes: a built-in one, a suite's, or a task file of one's own (.yaml).

    data: for mts_section the folder of MTS-Dialog, for a suite's task that of all data sets; for a built-in task a file
    of records may stand instead. split: of a task file or a data set, what to learn from. Raises UsageError for a task
    without a lesson, BadInputError for its data.
    """
    if task.endswith((".yaml", ".yml")):
        return _own(Path(task), split)
    found = get_task(task)
    if is_suite_task(task):
        return suite_lesson(found, data, split=split)
    if task not in TASKS or found.kind != "generation":
        writing = [name for name, known in TASKS.items() if known.kind == "generation"]
        must = f"The task must be one of {', '.join(writing)}, or a task file of your own (.yaml)."
        raise UsageError(Problem(must, task, do="Or give --data with records and --instruction."))
    if task == "clinic_summary":
        from suture.data import clinic

        made = clinic.generate(SEED, ENCOUNTERS, TESTED)
        own = _file(data)
        learnt = read_items(own, Record) if own else clinic.summaries(made.train)
        return Lesson(learnt, found.instruction, clinic.summaries(made.test), templated=own is None)
    if data is None:
        raise UsageError(Problem(f"{task} needs MTS-Dialog.", "no folder", do="Add --data with its Main-Dataset."))
    from suture.data.mts_dialog import read_mts_dialog

    if own := _file(data):
        return Lesson(read_items(own, Record), found.instruction, [])
    return Lesson(read_mts_dialog(data, "train"), found.instruction, read_mts_dialog(data, "validation"))


def leaking(
    records: Sequence[Record], test: Sequence[Record | Choice], *, templated: bool = False, share: float = 0.0
) -> dict[str, str]:
    """Return the ids of records that repeat the test, with why: its encounter, or eight of its words in a row.

    share: how much of a test text's runs of eight words a record must hold to count, in [0, 1]; with 0 one run is
    enough. Long dialogues share stock phrases: of ACI-BENCH's 67 training visits 66 share a run with its test, none a
    tenth of a text's.
    """
    encounters = {(item.source, item.encounter) for item in test if isinstance(item, Record)}
    found = {r.id: "encounter" for r in records if r.encounter and (r.source, r.encounter) in encounters}
    if templated:
        return found
    shared = shared_ngrams([text_of(record) for record in records], [text_of(item) for item in test], N, share=share)
    return {records[index].id: f"{N} words in a row" for index, _ in shared} | found


def draw(
    lesson: Lesson, shots: int | None, seed: int, *, allow_leakage: bool = False, share: float = 0.0
) -> tuple[list[Record], int]:
    """Return the shots and how many of them repeat the test, which is refused unless it is allowed knowingly.

    Records of the lesson that repeat the test (`leaking`) are counted before the draw. Raises BadInputError naming
    counts and ids, never text; UsageError for more shots than there are records.
    """
    leaks = leaking(lesson.records, lesson.test, templated=lesson.templated, share=share)
    if leaks and not allow_leakage:
        named = some(sorted(leaks))
        got = f"{len(leaks)} of {len(lesson.records)} that share an encounter or {N} words in a row: {named}"
        do = "Add --leave-out to learn from the others, --leak-share for stock phrases, or --allow-leakage."
        raise BadInputError(Problem("No record to learn from may repeat the test.", got, do=do))
    chosen = draw_shots(lesson.records, len(lesson.records) if shots is None else shots, seed)
    return chosen, sum(record.id in leaks for record in chosen)


def without_leaks(lesson: Lesson, *, share: float = 0.0) -> tuple[Lesson, int]:
    """Return the lesson without the records that repeat the test (`leaking`), and how many these were."""
    leaks = leaking(lesson.records, lesson.test, templated=lesson.templated, share=share)
    return replace(lesson, records=[r for r in lesson.records if r.id not in leaks]), len(leaks)


def held_out(records: Sequence[Record], share: float) -> tuple[list[Record], list[Record]]:
    """Return (to learn from, development): the last share of the draw, at least one record, by whole encounters.

    share: in [0, 1); 0 holds nothing out. Raises UsageError where nothing would be left to learn from.
    """
    if not share:
        return list(records), []
    encounters = list(dict.fromkeys(record.encounter or record.id for record in records))
    kept = len(encounters) - max(1, round(share * len(encounters)))
    if not 0 < share < 1 or kept < 1:
        must = "The share of development records must leave some to learn from."
        raise UsageError(Problem(must, f"{share:g} of {len(encounters)} encounters", "--development"))
    learnt = set(encounters[:kept])
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in records:
        parts[(record.encounter or record.id) not in learnt].append(record)
    return parts


def notes_of(data: Path) -> list[str]:
    """Return raw notes: the .txt files of a folder, or a table's field text, note or target. Raises BadInputError."""
    if data.is_dir():
        files = sorted(data.rglob("*.txt"))
        if not files:
            raise BadInputError(Problem("The folder must hold .txt files.", "none", str(data)))
        from suture.data.tables import read_text

        return [tidy(read_text(path)) for path in files]
    rows = read_rows(data)
    name = next((name for name in TEXT_FIELDS if name in rows[0]), "")
    if not name:
        must = f"Rows of notes must have one of the fields {', '.join(TEXT_FIELDS)}."
        raise BadInputError(Problem(must, "none of them", str(data)))
    return [text for row in rows if (text := tidy(row.get(name)))]


def _file(data: Path | None) -> Path | None:
    return data if data is not None and data.is_file() else None


def _own(path: Path, split: str) -> Lesson:
    keys = own.load_own_task(path)
    return own_lesson(keys, split, str(path))


def own_lesson(keys: own.OwnTask, split: str, where: str) -> Lesson:
    """Return the lesson of a task of one's own: the rows of `split` of its data. Raises as `lesson_of` does."""
    learnt = own.lesson_of(keys, split, where)
    tested = [item for item in own.items_of(keys) if isinstance(item, Record)]
    return Lesson(learnt, user_turn(own.task_of(keys)), tested)


def suite_lesson(task: Task, data: Path | None, *, split: str = "train") -> Lesson:
    """Return the lesson of a suite's task: `split` of its data set below `data`. Raises as `lesson_of` does."""
    source = get_source(task.dataset)
    if source.kind is not Record or split not in source.splits:
        must = f"{task.name} must have written answers and the split '{split}' to learn from."
        raise UsageError(Problem(must, f"splits: {', '.join(source.splits)}", do="Give --data with records instead."))
    refuse(BadInputError, problems_of(task.dataset, data))
    assert data is not None  # its absence is a problem
    learnt, tested = (of_section(load(task.dataset, data, part), task.section) for part in (split, source.test))
    records = [[item for item in items if isinstance(item, Record)] for items in (learnt, tested)]
    return Lesson(records[0], user_turn(task), records[1])
